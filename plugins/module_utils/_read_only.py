# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that can only be pulled from for a while, and its container.

For that time its configuration says so, and the former one lies beside it. Whatever is interrupted, the container comes
back with one of the two, and the next run finds out which.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    read_text,
    remove_file,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._registry_config import parse_file, render
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import WRITABLE_SUFFIX
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import read_config
from ansible_collections.stronghold.registry.plugins.module_utils._stale_cache import Cache

_VERSION = re.compile(r"\bv?(?P<version>\d+\.\d+\.\d+)")
HISTORY = "history.jsonl"
"""Of a registry's directory, what was done to it. It belongs to the place, not to a backup."""

SWARM_SERVICE = "com.docker.swarm.service.name"
"""The label that says of a swarm's container which service it is of."""

_START = 60.0
"""Seconds that a container may take to run again."""


@dataclass(frozen=True)
class Registry:
    """A registry as the roles make it: its container, by name, and the directory that has all else of it.

    The lock of the directory says who works on the registry.
    """

    container: str
    directory: str

    @property
    def config_path(self) -> str:
        return os.path.join(self.directory, "config", "config.yml")

    @property
    def writable_path(self) -> str:
        return self.config_path + WRITABLE_SUFFIX

    @property
    def data_directory(self) -> str:
        return os.path.join(self.directory, "data")

    @property
    def history_path(self) -> str:
        """What was done to it: see _history."""
        return os.path.join(self.directory, HISTORY)


class Container:
    """The registry's container, spoken to through the docker client, which every host of a registry has.

    Where a swarm runs the registry as a service of this name, it is the one of this node.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def runs(self) -> bool:
        """Whether it is there and runs."""
        return find_program("docker") is not None and self._running() is not None

    def stop(self) -> None:
        """Have it stop, until somebody starts it.

        :raises RegistryError: it does not.
        """
        self._docker("stop", self._own())

    def version(self) -> str:
        """The version of the program in it, such as ``2.8.3``.

        :raises RegistryError: it does not tell.
        """
        match = _VERSION.search(self._registry("--version"))
        if not match:
            raise RegistryError(f"container: the program in {self.name} does not tell its version.")
        return match["version"]

    def major(self) -> int:
        """The major version of the program in it."""
        return int(self.version().partition(".")[0])

    def started(self) -> str:
        """When it was last started, as ``2026-11-26T09:30:00.123456789Z``."""
        return self._docker("inspect", "--format", "{{.State.StartedAt}}", self._reference()).strip()

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it (``GET /containers/NAME/json``).

        :raises RegistryError: it is not there.
        """
        described: list[dict[str, Any]] = json.loads(self._docker("inspect", "--type=container", self._reference()))
        return described[0]

    def collect(self, *options: str) -> str:
        """Run the registry's collection with its options, and return what it prints.

        :raises RegistryError: it failed.
        """
        config = self._docker("inspect", "--format", "{{index .Args 1}}", self._reference()).strip()
        return self._registry("garbage-collect", *options, config)

    def restart(self) -> None:
        """Have it begin anew, and wait until its program runs.

        :raises RegistryError: it does not.
        """
        self._docker("restart", self._own())
        deadline = time.monotonic() + _START
        while True:
            # A program that ends at once is started over and over by the restart policy.
            time.sleep(0.5)
            state = self._docker("inspect", "--format", "{{.State.Running}} {{.State.Restarting}}", self._reference())
            if state.split() == ["true", "false"]:
                return
            if time.monotonic() > deadline:
                raise RegistryError(f"container: {self.name} does not run again; see docker logs {self.name}.")

    def end_jobs(self) -> None:
        """End what else runs in it, such as a collection that was left over, by having it begin anew.

        :raises RegistryError: it does not run again.
        """
        reference = self._running()
        if reference == self.name:
            self.restart()
        elif reference is not None:
            self._docker("stop", reference)
            deadline = time.monotonic() + _START
            # The swarm makes another one in its place.
            while self._running() in (None, reference):
                if time.monotonic() > deadline:
                    raise RegistryError(f"container: {self.name} does not run again; see docker service ps.")
                time.sleep(0.5)

    def _registry(self, *arguments: str) -> str:
        reference = self._reference()
        program = self._docker("inspect", "--format", "{{.Path}}", reference).strip()
        return self._docker("exec", reference, program, *arguments)

    def _reference(self) -> str:
        return self._running() or self.name

    def _running(self) -> Optional[str]:
        """What the engine calls it, if it runs."""
        own, task = f"name=^/?{re.escape(self.name)}$", f"label={SWARM_SERVICE}={self.name}"
        for wanted in (own, task):
            said = self._docker("ps", "--no-trunc", "--filter", wanted, "--format", "{{.Names}}").splitlines()
            # The client may warn of something besides.
            names = [line for line in said if line == self.name or line.startswith(f"{self.name}.")]
            if names:
                return names[0]
        return None

    def check_own(self) -> None:
        """:raises RegistryError: it is a swarm's, and can't be stopped or started again by itself."""
        self._own()

    def _own(self) -> str:
        """What can be stopped: a swarm would at once start another one.

        :raises RegistryError: it is a swarm's.
        """
        reference = self._reference()
        if reference != self.name:
            raise RegistryError(
                f"container: a swarm runs {self.name}, which can't be stopped or made read-only by its container; set "
                "registry_server_read_only and run site.yml for that, or keep the images in an object store."
            )
        return reference

    def _docker(self, *arguments: str) -> str:
        try:
            done = subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace", check=False)
        except FileNotFoundError as error:
            raise RegistryError("The program docker is missing on this host; install the engine's client.") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise RegistryError(f"docker {arguments[0]} {self.name} failed: {said[-1] if said else 'without a word'}.")
        return done.stdout + done.stderr


@contextmanager
def read_only(registry: Registry, container: Container) -> Iterator[None]:
    """The registry serves, but takes nothing, for as long as this lasts."""
    container.check_own()
    text = read_text(registry.config_path) or ""
    formers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        write_file(registry.writable_path, text.encode("utf-8"), _attributes(registry.config_path))
        write_file(registry.config_path, _read_only_text(text).encode("utf-8"), Attributes())
        container.restart()
        since = container.started()
        yield
        if container.started() != since or read_text(registry.config_path) != _read_only_text(text):
            raise RegistryError(
                f"container: {registry.container} was restarted or configured anew meanwhile, so it may have been "
                "pushed to; run this again."
            )
    finally:
        # A second signal must not end what mends the first.
        for number in formers:
            signal.signal(number, signal.SIG_IGN)
        recover(registry)
        for number, former in formers.items():
            signal.signal(number, former)


def _leave(number: int, _frame: object) -> None:
    """End as after any other error, so that the registry is not left read-only."""
    raise SystemExit(128 + number)


def recover(registry: Registry) -> None:
    """Let the registry be written to again. The restart also ends a collection that still runs, and empties caches.

    :raises RegistryError: a Redis still has to forget what was collected; then nobody can push.
    """
    text = read_text(registry.writable_path)
    if text is None:
        return
    mend_cache(registry)
    # Another run may have configured the registry since.
    if read_text(registry.config_path) == _read_only_text(text):
        write_file(registry.config_path, text.encode("utf-8"), Attributes())
    Container(registry.container).restart()
    remove_file(registry.writable_path)


def mend_cache(registry: Registry) -> None:
    """Where a collection was interrupted, have the registry's Redis forget what it may have removed.

    Only while it is read-only still: nothing more may be collected after that, and nobody push before.

    :raises RegistryError: the Redis cannot be reached.
    """
    cache = Cache(registry.directory, {})
    if cache.is_stale:
        Container(registry.container).end_jobs()
        Cache(registry.directory, read_config(registry.config_path)).forget()


def _read_only_text(text: str) -> str:
    config = parse_file(text).config
    storage = config.get("storage", {})
    maintenance = {**(storage.get("maintenance") or {}), "readonly": {"enabled": True}}
    return render({**config, "storage": {**storage, "maintenance": maintenance}})


def _attributes(path: str) -> Attributes:
    found = os.stat(path)
    return Attributes(found.st_uid, found.st_gid, found.st_mode & 0o777)
