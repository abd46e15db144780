# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may change a registry's configuration: nobody but the job for which it is read-only at present.

The lock is on the configuration's directory, and ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

WRITABLE_SUFFIX = ".writable"
"""Beside config.yml, what it is again after the job."""


@contextmanager
def alone(config_path: str) -> Iterator[None]:
    """No other garbage collection, backup or change of the configuration goes on meanwhile.

    :raises RegistryError: one does.
    """
    directory = os.open(os.path.dirname(config_path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RegistryError(
            f"{config_path}: a garbage collection or backup of this registry goes on; run this again when it has ended."
        ) from error
    else:
        yield
    finally:
        os.close(directory)


def is_left_over(config_path: str) -> bool:
    """Whether the registry may be read-only for a job, which goes on or was interrupted."""
    return os.path.lexists(config_path + WRITABLE_SUFFIX)
