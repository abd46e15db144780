# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries under load: the registry has one core to itself, the clients that ask it have another.

What bounds a run is seen by how busy the two cores were kept: a figure is the registry's own where its core was busy.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ._lab import Host, command

T = TypeVar("T")

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]

_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 13
"""Position of utime in /proc/PID/stat, counted from 0; stime follows (proc(5))."""


@dataclass(frozen=True)
class Transfer:
    """A URL, or a path below ``/v2/``, to get, or to send a file to."""

    target: str
    upload: Path | None = None


@dataclass(frozen=True)
class Registry:
    """A container on a host, whose *port* the host publishes."""

    host: Host
    container: str
    port: int

    @cached_property
    def address(self) -> str:
        """That of its host: the way to it goes past docker-proxy, which takes only what comes from the host itself."""
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return command("docker", "inspect", "--format", template, self.host.name).strip()

    @property
    def authority(self) -> str:
        return f"{self.address}:{self.port}"

    def settle(self) -> None:
        """Give it its core, and wait until it serves."""
        self.host.run(f"docker update --cpuset-cpus {SERVER_CORE} {self.container}")
        retries = ("--retry", "20", "--retry-delay", "1", "--retry-all-errors")
        command("curl", "--silent", "--show-error", "--insecure", *retries, f"https://{self.authority}/v2/")

    def curl(self, clients: int, status: int, transfers: Sequence[Transfer], *options: str) -> list[str]:
        """Have clients do *transfers* over connections that are kept, with options as curl's configuration has them.

        curl, unlike ab, sends small segments at once, as Go's clients do: else each new connection waits 40 ms for an
        acknowledgement that the kernel delays.

        Returns the header ``Location`` of the answers, those to one client in the order of *transfers*.

        :raises RuntimeError: an answer that has not the *status*.
        """
        lines = ["silent", "show-error", "no-progress-meter", "http1.1", "insecure", *options]
        lines += ["parallel", "parallel-immediate", f"parallel-max = {clients}"] if clients > 1 else []
        lines += ['write-out = "%{http_code} %header{location}\\n"']
        for transfer in transfers:
            url = transfer.target if "://" in transfer.target else f"https://{self.authority}/v2/{transfer.target}"
            lines += [f'url = "{url}"', 'output = "/dev/null"']
            lines += [f'upload-file = "{transfer.upload}"'] if transfer.upload else []
        answers = client("curl", "--config", "-", stdin="\n".join(lines)).splitlines()
        if len(answers) != len(transfers) or not all(answer.startswith(f"{status} ") for answer in answers):
            raise RuntimeError(f"{self.container} answers {answers[:9]}, wanted {len(transfers)} times {status}.")
        return [answer.split(" ", 1)[1] for answer in answers]

    @cached_property
    def _process(self) -> str:
        return self.host.run(f"docker inspect --format '{{{{.State.Pid}}}}' {self.container}")

    def cpu_seconds(self) -> float:
        """The processor time that it has used since its start."""
        times = self.host.run(f"cat /proc/{self._process}/stat").split()[_USER_TIME : _USER_TIME + 2]
        return sum(int(ticks) for ticks in times) / _TICKS


@dataclass(frozen=True)
class Load:
    """A run of clients: its seconds by the clock, and the processor time that the registry and the clients used."""

    seconds: float
    registry_seconds: float
    clients_seconds: float

    @property
    def registry_busy(self) -> float:
        return self.registry_seconds / self.seconds

    @property
    def clients_busy(self) -> float:
        return self.clients_seconds / self.seconds


def client(*arguments: str, stdin: str | None = None) -> str:
    """Run a program on the clients' core."""
    return command("taskset", "--cpu-list", str(CLIENT_CORE), *arguments, stdin=stdin)


def load(registry: Registry, clients: Callable[[], T]) -> tuple[T, Load]:
    """What *clients*, which run programs and wait for them, return, and what it took."""
    registry_before, clients_before = registry.cpu_seconds(), _children_seconds()
    start = time.perf_counter()
    result = clients()
    seconds = time.perf_counter() - start
    # First the clients' own, since asking for the registry's runs a program.
    clients_used = _children_seconds() - clients_before
    return result, Load(seconds, registry.cpu_seconds() - registry_before, clients_used)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
