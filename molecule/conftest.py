# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' own tests act with: playbooks as users run them, and commands on the scenario's hosts."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INVENTORY = Path(__file__).parent / "inventory"

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?:[a-z_.]+ : )?(?P<task>.*)\] \*+$")
_CHANGED = re.compile(r"^changed: \[(?P<host>[a-z0-9-]+)")


@dataclass(frozen=True)
class Run:
    """A run of a playbook: what it printed, and each change as ``host: task``, in order."""

    output: str
    changes: tuple[str, ...]


class Lab:
    def __init__(self, scenario: str, directory: Path) -> None:
        self.scenario = scenario
        self._directory = directory
        self.hosts = _hosts(scenario)
        self._secrets = {"PRIVATE KEY-----", "gordon", _login("moby", "gordon")}

    def play(
        self, *options: str, playbook: str = "site", fails: bool = False, within: float = 600, **variables: Any
    ) -> Run:
        """Run a playbook of the collection on all hosts; it has to end well, or with *fails* to fail, within seconds.

        However it ends, no secret is to be seen: not in what it printed, as chatty as it gets, in no list of processes,
        journal or container's description, and in no file that others than its owner can read.
        """
        since = self.on(self.hosts[0], "date --utc +'%F %T UTC'")
        self._learn_secrets(variables)
        with self._no_secret_in_processes() as environment:
            process = self.start(*options, playbook=playbook, environment=environment, **variables)
            output = process.communicate(timeout=within)[0]
        assert process.returncode == (2 if fails else 0), output[-4000:]
        self._learn_secrets(variables)
        assert self._secrets_in(output) == []
        for host in self.hosts:
            assert self._secrets_in(self.on(host, _OPEN_TO_OTHERS.format(since=since))) == [], host
            if not fails:
                assert self._secrets_in(self.on(host, _CONTAINERS)) == [], host
        return Run(output, tuple(_changes(output)))

    def start(
        self, *options: str, playbook: str = "site", environment: dict[str, str] | None = None, **variables: Any
    ) -> subprocess.Popen[str]:
        """Begin a run of a playbook, in a session of its own. Variables may be secret, so they go by a file."""
        given = self._directory / f"{uuid.uuid4()}.json"
        given.write_text(json.dumps(variables))
        command = ["ansible-playbook", "--inventory", str(INVENTORY), "--limit", self.scenario, "--diff", "-vvv"]
        return subprocess.Popen(
            [*command, *options, f"--extra-vars=@{given}", f"stronghold.registry.{playbook}"],
            # Without colours, also where molecule forces them: the output is read.
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _learn_secrets(self, variables: dict[str, Any]) -> None:
        """Learn the secrets among the variables and those that the server has now; former ones are not forgotten."""
        for user in variables.get("registry_auth_users", []):
            self._secrets |= {user["password"], _login(user["name"], user["password"])}
        self._secrets |= {variables[name] for name in variables if name.endswith("_passphrase")}
        self._secrets |= {
            _private_line(key) for key in _PRIVATE_KEY.findall(variables.get("registry_tls_private_key", ""))
        }
        for server in (host for host in self.hosts if "-server" in host):
            files = self.on(server, _SECRET_FILES)
            self._secrets |= {_private_line(key) for key in _PRIVATE_KEY.findall(files)}
            self._secrets |= set(re.findall(r"\$2[abxy]\$\d\d\$\S{53}", files))
            self._secrets |= set(re.findall(r"^ *(?:secret|secretkey|password): *(\S+)$", files, re.MULTILINE))

    def _secrets_in(self, text: str) -> list[str]:
        # A few characters either side tell where it was seen.
        return [
            text[max(0, text.index(secret) - 200) : text.index(secret) + 20]
            for secret in sorted(self._secrets)
            if secret in text
        ]

    @contextmanager
    def _no_secret_in_processes(self) -> Iterator[dict[str, str]]:
        """Look through the processes of the scenario's hosts, and of what runs with the environment that is given."""
        mark = f"LAB_RUN={uuid.uuid4()}"
        inspect = ["docker", "inspect", "--format", "{{.Id}}", *self.hosts]
        containers = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.split()
        seen, looks = set(), 0
        ended = threading.Event()

        def look() -> None:
            nonlocal looks
            ages: dict[str, int] = {}
            while not ended.is_set():
                ages = {process: ages.get(process, -1) + 1 for process in os.listdir("/proc") if process.isdigit()}
                # A process becomes what it is to be soon after its start. The others are looked at once a second.
                for process in (Path("/proc", process) for process, age in ages.items() if age < 20 or age % 20 == 0):
                    line = _read(process / "cmdline")
                    if any(secret in line for secret in tuple(self._secrets)) and (
                        mark in _read(process / "environ")
                        or any(container in _read(process / "cgroup") for container in containers)
                    ):
                        seen.add(line)
                looks += 1
                time.sleep(0.05)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield dict([mark.split("=")])
        finally:
            ended.set()
            thread.join()
        assert looks > 1
        assert seen == set()

    def change(self, *options: str, unforeseen: tuple[str, ...] = (), **variables: Any) -> Run:
        """Change a registry by variables: check mode announces what the run does, and the next run does nothing.

        What hangs on a certificate that the run first has to make is *unforeseen*.
        """
        announced = self.play("--check", *options, **variables)
        done = self.play(*options, **variables)
        # Hosts that a task runs on at the same time end it in any order.
        assert sorted(announced.changes) == sorted(change for change in done.changes if change not in unforeseen)
        settled = self.play(*options, **variables)
        assert settled.changes == ()
        return done

    def on(self, host: str, script: str, *, fails: bool = False) -> str:
        """Run a script on a host and return what it printed; it has to end well, or with *fails* to fail."""
        process = subprocess.run(
            ["docker", "exec", "--interactive", host, "bash", "-euo", "pipefail"],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=300,
        )
        assert (process.returncode != 0) is fails, f"{host}: {script}\n{process.stdout}"
        return process.stdout.strip()

    def read(self, host: str, path: str) -> bytes:
        """A file of a host."""
        return subprocess.run(["docker", "exec", host, "cat", path], capture_output=True, check=True).stdout

    def there(self, host: str, *paths: str) -> str:
        """Those of the paths that are there, to be given to a command that must not fail over one that is not."""
        return " ".join(self.on(host, f"for path in {' '.join(paths)}; do [ ! -e $path ] || echo $path; done").split())

    @contextmanager
    def down(self, host: str) -> Iterator[None]:
        """A host without an engine loses its power, and gets it back in the end."""
        hosts = self.hosts
        subprocess.run(["docker", "kill", host], capture_output=True, check=True)
        self.hosts = tuple(name for name in hosts if name != host)
        try:
            yield
        finally:
            self.hosts = hosts
            subprocess.run(["docker", "start", host], capture_output=True, check=True)

    def reboot(self, host: str) -> None:
        """Boot a host's system anew, and wait until it is up. Its processes end; /run and /tmp are emptied."""
        subprocess.run(["docker", "restart", host], capture_output=True, check=True)
        # The same as molecule/shared/create.yml prepares.
        self.on(host, "mount -o remount,rw /proc/sys")
        up = "[[ $(systemctl is-system-running --wait 2>/dev/null) =~ running|degraded ]]"
        self.on(host, f"until {up}; do sleep 1; done")


def _hosts(scenario: str) -> tuple[str, ...]:
    """The hosts of a scenario, its server first."""
    listed = subprocess.run(
        ["ansible", "--inventory", str(INVENTORY), "--list-hosts", scenario], capture_output=True, text=True, check=True
    )
    names = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return tuple(sorted(names, key=lambda name: "-server" not in name))


def _changes(output: str) -> list[str]:
    changes, task = [], ""
    for line in output.splitlines():
        if match := _TASK.match(line):
            task = match["task"]
        elif match := _CHANGED.match(line):
            changes.append(f"{match['host']}: {task}")
    return changes


_SECRET_FILES = r"""
find /srv -path '*/data' -prune -o '(' -name '*.key*' -o -name htpasswd -o -name 'config.yml*' ')' -exec cat {} +
"""

_CONTAINERS = "if command -v docker >/dev/null; then docker ps -aq | xargs -r docker inspect; fi"

_OPEN_TO_OTHERS = """
journalctl --quiet --no-pager --since '{since}'
shopt -s nullglob
find /srv /etc/docker* /etc/stronghold* /backups* /root /tmp /var/tmp \
  -path '*/data' -prune -o -type f -perm /077 -print -exec cat {{}} +
"""
"""Prints what others than root can come to see on a host."""


_PRIVATE_KEY = re.compile(r"PRIVATE KEY-----\n(.+?)\n-----END", re.DOTALL)


def _private_line(key: str) -> str:
    """A line of a key in PEM that its certificate has not as well: of RSA the primes at its end, else the beginning."""
    lines = key.splitlines()
    return lines[-2] if len(lines) > 4 else lines[0]


def _login(name: str, password: str) -> str:
    """As HTTP and Docker's config.json have it."""
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").replace("\0", " ")
    except OSError:
        # The process has ended.
        return ""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(os.environ["MOLECULE_SCENARIO_NAME"], tmp_path_factory.mktemp("variables"))
