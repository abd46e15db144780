# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may change a registry: nobody but the job for which it is read-only at present.

The lock ends with the process that holds it, however that ends. Only root can open it: others could hold a lock that is
open to them for as long as they like.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

WRITABLE_SUFFIX = ".writable"
"""Beside config.yml, what it is again after the job."""

_LOCKS = "/run/stronghold.registry"
"""What the names of locks begin with; the registry's directory follows."""

_PAUSE = 1.0


@contextmanager
def alone(directory: str, *, patience: float = 0.0) -> Iterator[None]:
    """Nobody else collects, backs up, restores or configures the registry of this directory meanwhile.

    *patience* is how many seconds to wait for whoever does. Where there is no directory yet, nobody can.

    :raises RegistryError: somebody does.
    """
    if not os.path.isdir(directory):
        yield
        return
    descriptor = _open(directory)
    try:
        end = time.monotonic() + patience
        while not _is_locked(descriptor):
            if time.monotonic() >= end:
                raise RegistryError(
                    f"{directory}: a garbage collection, backup or restore of this registry goes on; run this again "
                    "when it has ended."
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _open(directory: str) -> int:
    if os.geteuid() != 0:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    path = lock_path(directory)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def lock_path(directory: str) -> str:
    """Root's lock of a registry's directory, whatever links lead there."""
    return f"{_LOCKS}{os.path.realpath(directory).replace('/', '-')}.lock"


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_left_over(config_path: str) -> bool:
    """Whether the registry may be read-only for a job, which goes on or was interrupted."""
    return os.path.lexists(config_path + WRITABLE_SUFFIX)
