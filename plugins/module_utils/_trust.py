# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's container engines trust a registry, or no longer do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account, check_home, find_account
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._trust_containerd import Containerd
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import ABSENT, Desired, parse_desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_docker import Docker, RootlessDocker
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import ContainerEngine
from ansible_collections.stronghold.registry.plugins.module_utils._trust_podman import Podman
from ansible_collections.stronghold.registry.plugins.module_utils._trust_system import SystemStore

ENGINES = ("docker", "rootless_docker", "containerd", "podman", "system")


def known_engines(params: dict[str, Any]) -> list[ContainerEngine]:
    """All kinds of engines, with where their files are on this host."""
    return [
        Docker(directory=params["docker_directory"], socket=params["docker_socket"]),
        *(RootlessDocker(account) for account in _rootless_accounts(params["users"])),
        Containerd(directory=params["containerd_directory"]),
        Podman(directory=params["containers_directory"]),
        SystemStore(),
    ]


def _rootless_accounts(users: Sequence[str]) -> list[Account]:
    """The users that are named: others could have an engine appear, and be trusted with a client's key."""
    accounts = [account for account in map(find_account, dict.fromkeys(users)) if account.uid != 0]
    for account in accounts:
        check_home(account)
    return accounts


def chosen_engines(names: Sequence[str], known: Sequence[ContainerEngine], desired: Desired) -> list[ContainerEngine]:
    """The engines to handle: those named, and with ``auto`` those that are found on this host.

    :raises RegistryError: one that is named is not here, or there is none to trust the registry.
    """
    chosen = [engine for engine in known if engine.name in names or ("auto" in names and engine.is_found(desired))]
    if desired.trust == ABSENT:
        return chosen
    here = [engine for engine in chosen if engine.is_here()]
    for name in names:
        if name != "auto" and name not in [engine.name for engine in here]:
            raise RegistryError(f"engines: {_why_missing(name, known)}, or take '{name}' out of the list.")
    if not here:
        raise RegistryError(f"engines: {_why_none(known)}.")
    return here


def _why_missing(name: str, known: Sequence[ContainerEngine]) -> str:
    reasons = [engine.why_missing() for engine in known if engine.name == name]
    return next(filter(None, reasons), f"'{name}' is named, but not on this host. Install it")


def _why_none(known: Sequence[ContainerEngine]) -> str:
    reasons = [engine.why_missing() for engine in known if engine.name == "docker"]
    return next(
        filter(None, reasons),
        "There is no container engine on this host. Install one (docker.io, docker-ce, podman or containerd)",
    )


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module client_trust: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, no engine, or a file that cannot be parsed or is not ours.
    """
    desired = parse_desired(params)
    known = known_engines(params)
    engines = chosen_engines(params["engines"], known, desired)
    plans = [engine.plan(desired) for engine in engines]
    steps = [step for planned in plans for step in planned.steps]
    if not check_mode:
        for step in steps:
            step.perform()
    shims = [engine.why_missing() for engine in known if engine.name == "docker" and engine not in engines]
    return {
        "changed": bool(steps),
        "reasons": [step.reason for step in steps] + [note for planned in plans for note in planned.notes],
        "engines": list(dict.fromkeys(engine.name for engine in engines)),
        "trust_files": [path for planned in plans for path in planned.trust_files],
        "foreign": [path for planned in plans for path in planned.foreign],
        "placeholders": [key for planned in plans for key in planned.placeholders],
        "reload_required": any(planned.reload_required for planned in plans),
        "reload_processes": [
            {"uid": planned.reload_process[0], "process": planned.reload_process[1]}
            for planned in plans
            if planned.reload_process
        ],
        "unsupported": [text for planned in plans for text in planned.unsupported]
        + [f"{text}." for text in shims if text and desired.trust != ABSENT],
        "warnings": [text for planned in plans for text in planned.warnings],
        "diff": {
            "before_header": desired.registry,
            "after_header": desired.registry,
            "before": "".join(step.before for step in steps),
            "after": "".join(step.after for step in steps),
        },
    }
