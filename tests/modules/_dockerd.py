# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second, throw-away Docker engine as the judge of a daemon.json: it never touches the machine's own."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 30.0
_INTERVAL = 0.05


class Dockerd:
    """An engine with everything below one directory, which may be started and stopped any number of times."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dockerd-"))
        self.config = self.directory / "etc/daemon.json"
        self.socket = self.directory / "docker.sock"
        self.config.parent.mkdir(mode=0o755)
        self._log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def start(self, *flags: str) -> None:
        """Start it and wait until it serves. Before, SIGHUP would end it."""
        self._launch(flags)
        self._wait_until(lambda: "API listen on" in self._log.read_text())

    def refuses_to_start(self, *flags: str) -> str:
        """Start it, and return what it says when it gives up."""
        process = self._launch(flags)
        assert process.wait(_SECONDS) != 0
        self._process = None
        return self._log.read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_SECONDS)
            self._process = None

    def reload(self) -> None:
        """Have it read its file again, and wait until it says that it did."""
        assert self._process is not None
        seen = self._reloads()
        self._process.send_signal(signal.SIGHUP)
        self._wait_until(lambda: self._reloads() > seen)

    def info(self) -> dict[str, Any]:
        """What the docker client tells of it."""
        told = subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", "info", "--format", "{{json .}}"],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
        info: dict[str, Any] = json.loads(told.stdout)
        return info

    def insecure(self) -> set[str]:
        """The registries that it holds insecure, loopback aside."""
        registries = self.info()["RegistryConfig"]
        named = {name for name, index in registries["IndexConfigs"].items() if not index["Secure"]}
        return named | set(registries["InsecureRegistryCIDRs"]) - {"127.0.0.0/8", "::1/128"}

    def _reloads(self) -> int:
        return self._log.read_text().count("Reloaded configuration")

    def _launch(self, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
        assert self._process is None
        self.socket.unlink(missing_ok=True)
        places = {
            "--config-file": self.config,
            "--data-root": self.directory / "data",
            "--exec-root": self.directory / "exec",
            "--pidfile": self.directory / "pid",
            "-H": f"unix://{self.socket}",
        }
        arguments = [str(part) for place in places.items() for part in place]
        # A network of its own, since an engine without a bridge removes the docker0 of the engine that has one.
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec dockerd "$@"', "dockerd"]
        command += [*arguments, "--bridge=none", "--iptables=false", *flags]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self._process

    def _wait_until(self, done: Callable[[], bool]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _SECONDS
        while not done():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_INTERVAL)
                raise AssertionError(self._log.read_text())
            assert time.monotonic() < deadline, self._log.read_text()
