# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program skopeo, which copies images between registries, archives and engines."""

from __future__ import annotations

import re
import subprocess

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program

_LOGGED = re.compile(r'.* msg="(?P<message>.*)"')


def skopeo(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end.

    :raises RegistryError: it is not there.
    """
    program = find_program("skopeo")
    if program is None:
        raise RegistryError("The program skopeo is missing on this host; install the package skopeo.")
    return subprocess.run([program, *arguments], capture_output=True, check=False)


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last thing that it says, without the time and level of its log, as a clause."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
    match = _LOGGED.fullmatch(lines[-1])
    return (match["message"].replace('\\"', '"') if match else lines[-1]).rstrip(".")
