# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one family of errors that a user of the collection can act on."""

from __future__ import annotations

from typing import Any


class RegistryError(Exception):
    """Something that the user can mend.

    The message names the parameter or file, says what is wrong with it and what to do. It never holds a secret.
    *facts* are what a module returns besides.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts
