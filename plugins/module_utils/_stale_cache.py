# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries remember in a Redis of blobs that a collection removes, or that a restored storage has not.

They would go on to say that these are there, so a client would not push them again, and its image be lost. So that it
is forgotten after a collection that was killed as well, a file says that it has to be, before anybody may push.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import _redis
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    read_text,
    remove_file,
    write_file,
)

MARK = "cache.stale"
"""In a registry's directory, while its Redis may remember blobs that were collected."""


class Cache:
    """The Redis of the registry that has this directory and configuration, if it has one."""

    def __init__(self, directory: str, config: Mapping[str, Any]) -> None:
        self.mark = os.path.join(directory, MARK)
        self._config = config
        self._authorities = read_text(os.path.join(directory, "config", "trusted.crt")) or ""
        self._used = _redis.is_used(config)

    def check(self) -> None:
        """:raises RegistryError: it cannot be reached, so nothing should be collected either."""
        if self._used:
            _redis.check(self._config, self._authorities)

    @property
    def is_stale(self) -> bool:
        """Whether a collection was interrupted or is going on, or the storage was restored."""
        return os.path.lexists(self.mark)

    def make_stale(self) -> None:
        """Remember that it has to forget."""
        if self._used:
            write_file(self.mark, b"", Attributes(mode=0o600))

    @contextmanager
    def stale(self) -> Iterator[None]:
        """Something is collected meanwhile, perhaps in part."""
        self.make_stale()
        try:
            yield
        finally:
            if self.is_stale:
                self.forget()

    def forget(self) -> None:
        """:raises RegistryError: it cannot be reached, so that nobody must push yet."""
        try:
            if self._used:
                _redis.forget(self._config, self._authorities)
        except RegistryError as error:
            raise RegistryError(
                f"{error} It may remember blobs that are gone, so nobody can push until it has forgotten them. "
                f"Mend it and run site.yml; or empty it by hand, remove {self.mark}, and run site.yml."
            ) from error
        remove_file(self.mark)
