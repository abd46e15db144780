# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: kill_after
type: aggregate
short_description: Kills the run after a number of changes
description: Kills the run and all its processes with SIGKILL once KILL_AFTER tasks have changed something.
"""

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_after"

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ["KILL_AFTER"])

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed():
            self._left -= 1
            if self._left == 0:
                os.killpg(0, signal.SIGKILL)
