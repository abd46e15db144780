# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to measure on, booted as molecule/shared/create.yml boots those of the tests, and playbooks timed on them."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.release import __version__ as ansible_version

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
NETWORK = "stronghold-bench"
REGISTRY_IMAGE = "stronghold/registry-package:2"
"""What roles/registry_server calls the image that it builds from Debian's package."""

_BASE = "stronghold-lab/debian12:engine"
_IMAGE = "stronghold-bench/debian12"
_LIBRARIES = ("bcrypt", "cryptography", "passlib", "requests", "yaml")
_RECIPE = f"""
FROM {_BASE}
RUN apt-get -qq update \\
 && apt-get -qq install -y --no-install-recommends {" ".join(f"python3-{name}" for name in _LIBRARIES)} >/dev/null
"""
_COLLECTIONS = str(ROOT / "build" / "collections")
_CHANGED = re.compile(r"\bchanged=(\d+)")


@dataclass(frozen=True)
class Host:
    """A container with systemd, an engine of its own, and every Python library that modules need."""

    name: str

    def run(self, script: str) -> str:
        """What a shell script printed; it has to end well."""
        return command("docker", "exec", "--interactive", self.name, "bash", "-euo", "pipefail", stdin=script).strip()

    def build_registry_image(self) -> None:
        """Build ``REGISTRY_IMAGE`` from Debian's package, as the role registry_server would."""
        script = (ROOT / "roles" / "registry_server" / "files" / "build_image.sh").read_text()
        command("docker", "exec", "--interactive", self.name, "sh", "-s", REGISTRY_IMAGE, stdin=script)


@dataclass(frozen=True)
class Run:
    """A run of a playbook: seconds from its start to its end, and how many tasks changed something, on all hosts."""

    seconds: float
    changed: int
    output: str


def command(*arguments: str, stdin: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """What a program printed, standard error included; it has to end well.

    :raises RuntimeError: it did not; with what it printed at last.
    """
    done = subprocess.run(
        arguments,
        input=stdin or "",
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout[-4000:]}")
    return done.stdout


@contextmanager
def host(name: str, *aliases: str) -> Iterator[Host]:
    """Boot the host ``bench-NAME``, known by its *aliases* on the benchmarks' network; remove it at the end."""
    command("docker", "build", "--quiet", "--tag", _IMAGE, "-", stdin=_RECIPE, environment={"DOCKER_BUILDKIT": "0"})
    if NETWORK not in command("docker", "network", "ls", "--format", "{{.Name}}").split():
        command("docker", "network", "create", NETWORK)
    booted = Host(f"bench-{name}")
    _remove(booted)
    command(
        *("docker", "run", "--detach", f"--name={booted.name}", f"--hostname={booted.name}", f"--network={NETWORK}"),
        *(f"--network-alias={alias}" for alias in aliases),
        *("--stop-signal=SIGRTMIN+3", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE"),
        *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
        *("--device-cgroup-rule=a *:* rwm", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"),
        *("--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--volume=/var/lib/docker"),
        *(_IMAGE, "/lib/systemd/systemd"),
    )
    try:
        booted.run(
            "until [[ $(systemctl is-system-running --wait 2>/dev/null) =~ running|degraded ]]; do sleep 0.5; done\n"
            "mount -o remount,rw /proc/sys"
        )
        yield booted
    finally:
        _remove(booted)


@contextmanager
def light_host(name: str) -> Iterator[Host]:
    """Start the host ``bench-NAME`` from the same image, with no service but what keeps it there."""
    started = Host(f"bench-{name}")
    _remove(started)
    command(
        "docker",
        "run",
        "--detach",
        "--init",
        f"--name={started.name}",
        f"--network={NETWORK}",
        _IMAGE,
        "sleep",
        "infinity",
    )
    try:
        yield started
    finally:
        _remove(started)


def _remove(booted: Host) -> None:
    command("docker", "rm", "--force", "--volumes", booted.name)


def write_inventory(path: Path, groups: Mapping[str, Sequence[Host]], variables: Mapping[str, Any]) -> Path:
    """An inventory of hosts in groups, whose *variables* all hosts have."""
    inventory = {
        # The same user as become asks for, so no sudo is needed.
        "vars": {"ansible_connection": "community.docker.docker", "ansible_user": "root", **variables},
        "children": {group: {"hosts": {each.name: {} for each in hosts}} for group, hosts in groups.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"all": inventory}))
    return path


def play(playbook: str, inventory: Path, *options: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run a playbook, given by its path or its name in a collection, with the checkout's ansible.cfg."""
    variables = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": _COLLECTIONS,
        "ANSIBLE_NOCOLOR": "1",
        **(environment or {}),
    }
    start = time.perf_counter()
    output = command("ansible-playbook", f"--inventory={inventory}", *options, playbook, environment=variables)
    seconds = time.perf_counter() - start
    recap = output[output.rindex("PLAY RECAP") :]
    return Run(seconds, sum(int(count) for count in _CHANGED.findall(recap)), output)


def machine() -> str:
    """What the figures were measured with, in a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    registry = command("apt-cache", "show", "--no-all-versions", "docker-registry")
    version = re.search(r"^Version: (\S+)", registry, re.MULTILINE)
    return (
        f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory, "
        f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Python {platform.python_version()}, "
        f"ansible-core {ansible_version}, "
        f"Docker engine {command('docker', 'version', '--format', '{{.Server.Version}}').strip()}, "
        f"docker-registry {version[1] if version else 'unknown'}"
    )
