# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that each module needs on its host."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._lab import BUILD, REGISTRY_IMAGE, ROOT, Host, host, play, write_inventory
from ._measure import Scope, alternate, medians
from ._report import Result, Table, Target

_WORK = BUILD / "memory"
_ADDRESS = "memory.bench"
_USER = {"name": "moby", "password": "gordon"}
_USERS = 1000
_LIMIT = 64
_INTERPRETER = "/usr/local/bin/measured-python"
_CA = "{{ lookup('ansible.builtin.file', registry_endpoint_controller_directory ~ '/ca.crt') }}"
_FILES = "/srv/memory"
_FORGET = f"rm -rf {_FILES} /etc/docker/certs.d/other.bench:5000 /etc/docker/daemon.json /root/.docker /root/peak"

_HOW = """\
On a Debian 12 with a running registry, made by the playbook site, Ansible runs each module in a playbook of its own,
by an interpreter that notes the peak of its resident memory (`ru_maxrss`) at its end. Before each run all that the
module wrote is removed, so that it has its whole work to do. Programs that a module starts, such as `dockerd
--validate`, are not counted. An MB is 1,000,000 bytes."""

_JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "certificate": (
        "a certificate with its key, signed by the registry's CA",
        {
            "path": f"{_FILES}/registry.crt",
            "privatekey_path": f"{_FILES}/registry.key",
            "ca_path": "/srv/registry/ca/ca.crt",
            "ca_privatekey_path": "/srv/registry/ca/ca.key",
            "names": [_ADDRESS],
        },
    ),
    "certificate_info": (
        "what the running registry serves",
        {"host": _ADDRESS, "port": 5000, "ca_path": "/srv/registry/ca/ca.crt"},
    ),
    "client_trust": (
        "the engine trusts a further registry",
        {"registry": "other.bench:5000", "ca_certificate": _CA},
    ),
    "daemon_config": (
        "three keys of daemon.json",
        {"config": {"live-restore": True, "log-opts": {"max-size": "10m", "max-file": "3"}}},
    ),
    "host_info": (
        "the registry's container, its image and its port",
        {"containers": ["registry"], "images": [REGISTRY_IMAGE], "port": 5000, "libraries": ["yaml"]},
    ),
    "htpasswd": (
        f"a file of {_USERS} users",
        {
            "path": f"{_FILES}/htpasswd",
            # Any cost takes the same memory.
            "cost": 4,
            "users": [{"name": f"user{number}", "password": f"the secret of {number}"} for number in range(_USERS)],
        },
    ),
    "registry_config": (
        "a configuration with TLS and users",
        {
            "path": f"{_FILES}/config.yml",
            "config": {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}, "delete": {"enabled": True}},
                "auth": {"htpasswd": {"realm": "registry", "path": "/auth/htpasswd"}},
                "http": {"addr": ":5000", "tls": {"certificate": "/certs/registry.crt", "key": "/certs/registry.key"}},
            },
        },
    ),
    "registry_login": (
        "root logs in to the running registry",
        {
            "registry": f"{_ADDRESS}:5000",
            "ca_certificate": _CA,
            "username": _USER["name"],
            "password": _USER["password"],
        },
    ),
    "registry_probe": (
        "the running registry, with a push and a pull",
        {
            "host": _ADDRESS,
            "port": 5000,
            "ca_certificate": _CA,
            "username": _USER["name"],
            "password": _USER["password"],
        },
    ),
}
"""What each module does here, in words and as its parameters."""


def measure(scope: Scope) -> Result:
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py"))
    if idle := set(modules) - set(_JOBS):
        raise LookupError(f"give a job to the modules {', '.join(sorted(idle))}")
    with host("memory", _ADDRESS) as server:
        inventory = _prepare(server)
        values = alternate({name: _peak_of(server, inventory, name) for name in modules}, scope.rounds)
    megabytes = medians(values)
    return Result(
        name="memory",
        title="Memory on the hosts",
        question="How much memory does a module need on its host?",
        how=_HOW,
        tables=[
            Table(
                "Peak of resident memory",
                ["module", "its work", "MB"],
                [[name, _JOBS[name][0], peak] for name, peak in megabytes.items()],
            )
        ],
        targets=[Target(f"{name}: MB", peak, _LIMIT) for name, peak in megabytes.items()],
        values=values,
    )


def _prepare(server: Host) -> Path:
    """Make the registry; returns an inventory by which further modules are measured."""
    variables = {
        "registry_endpoint_host": _ADDRESS,
        "registry_endpoint_controller_directory": str(_WORK / "controller"),
        "registry_server_image_source": "package",
        "registry_auth_users": [_USER],
    }
    groups = {"registry_servers": [server], "registry_clients": [server]}
    server.build_registry_image()
    play("stronghold.registry.site", write_inventory(_WORK / "inventory.yml", groups, variables))
    interpreter = Path(__file__).with_name("_interpreter.py").read_text()
    server.run(f"cat >{_INTERPRETER} <<'END'\n#!/usr/bin/python3\n{interpreter}END\nchmod 0755 {_INTERPRETER}")
    variables["ansible_python_interpreter"] = _INTERPRETER
    return write_inventory(_WORK / "measured.yml", groups, variables)


def _peak_of(server: Host, inventory: Path, name: str) -> Callable[[], float]:
    playbook = _WORK / f"{name}.yml"
    task = {f"stronghold.registry.{name}": _JOBS[name][1]}
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "tasks": [task]}]))

    def peak() -> float:
        server.run(_FORGET)
        play(str(playbook), inventory)
        return int(server.run("cat /root/peak")) * 1024 / 1e6

    return peak
