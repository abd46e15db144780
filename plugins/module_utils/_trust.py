# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's container engines trust a registry and users of it are logged in, or no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils import _login
from ansible_collections.stronghold.registry.plugins.module_utils._accounts import (
    Account,
    check_home,
    find_account,
    find_users,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._login_files import Plan
from ansible_collections.stronghold.registry.plugins.module_utils._trust_containerd import Containerd
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import ABSENT, Desired, parse_desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_docker import Docker, RootlessDocker
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import ContainerEngine
from ansible_collections.stronghold.registry.plugins.module_utils._trust_podman import Podman
from ansible_collections.stronghold.registry.plugins.module_utils._trust_system import SystemStore

ENGINES = ("docker", "rootless_docker", "containerd", "podman", "system")
LOGINS = ("present", "absent", "untouched")

_CLIENTS = {"docker": "docker", "rootless_docker": "docker", "podman": "podman"}
"""The engines whose logins are files of users, with the kind of clients that read them."""

_TIMEOUT = 30
"""Seconds in which the registry has to be reached."""


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


def desired_login(params: dict[str, Any]) -> Optional[_login.Desired]:
    """Who shall be logged in or out; None where logins are not to be touched.

    :raises RegistryError: which parameter is wrong and why.
    """
    if params["login"] == "untouched":
        return None
    if params["login"] == "present" and params["state"] == "absent":
        raise RegistryError("login: is present, while state is absent; nobody can use a registry that is not trusted.")
    return _login.parse_desired({**params, "state": params["login"], "address": "", "timeout": _TIMEOUT})


def plan_logins(
    login: Optional[_login.Desired], users: Sequence[str], engines: Sequence[ContainerEngine]
) -> list[Plan]:
    """What has to be done to the files of users of these engines; to log out, to all that are there.

    :raises RegistryError: a user without a home, or a file or helper that cannot be used.
    """
    if login is None:
        return []
    accounts = find_users(users)
    if login.credentials is None:
        clients = _login.chosen_clients(["auto"], accounts, absent=True)
    else:
        clients = list(dict.fromkeys(_CLIENTS[engine.name] for engine in engines if engine.name in _CLIENTS))
    return _login.plan_places(login, accounts, clients)


def _is_left(engine: ContainerEngine, chosen: Sequence[ContainerEngine], nothing: Desired) -> bool:
    """Whether the host's own store has a certificate from a time when it was named."""
    return engine.name == "system" and engine not in chosen and engine.is_found(nothing)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module client_trust: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, no engine, a file that cannot be parsed or is not ours, or a login that
        the registry refuses.
    """
    desired, login = parse_desired(params), desired_login(params)
    known = known_engines(params)
    engines = chosen_engines(params["engines"], known, desired)
    plans = [engine.plan(desired) for engine in engines]
    # It would go on to be trusted for every name, by all programs of the host.
    nothing = replace(desired, trust=ABSENT)
    plans += [engine.plan(nothing) for engine in known if _is_left(engine, engines, nothing)]
    steps = [step for planned in plans for step in planned.steps]
    logins = plan_logins(login, params["users"], engines)
    verified: Optional[bool] = None
    warnings: list[str] = []
    # A registry that this run would first make trusted may not be there yet in check mode.
    if login is not None and not (check_mode and steps):
        verified, warnings = _login.tried(login, check_mode)
    if not check_mode:
        for step in steps:
            step.perform()
        _login.perform(logins)
    shims = [engine.why_missing() for engine in known if engine.name == "docker" and engine not in engines]
    return {
        "changed": bool(steps) or any(plan.reasons for plan in logins),
        "reasons": [step.reason for step in steps]
        + [reason for plan in logins for reason in plan.reasons]
        + [note for planned in plans for note in planned.notes],
        "engines": list(dict.fromkeys(engine.name for engine in engines)),
        "trust_files": [path for planned in plans for path in planned.trust_files],
        "login_files": [plan.place.path for plan in logins if plan.holds],
        "verified": verified,
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
        "warnings": [text for planned in plans for text in planned.warnings] + warnings,
        "diff": {
            "before_header": desired.registry,
            "after_header": desired.registry,
            "before": "".join([step.before for step in steps] + [plan.before for plan in logins]),
            "after": "".join([step.after for step in steps] + [plan.after for plan in logins]),
        },
    }
