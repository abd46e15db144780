# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker, of the host or of a user (rootless): certs.d for a trust anchor, daemon.json for the rest.

What Docker reads for a registry is in registry/registry.go of moby; rootless it is below the user's ~/.config/docker.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace

from ansible_collections.stronghold.registry.plugins.module_utils import _daemon_json, _docker_engine
from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account, acting_as
from ansible_collections.stronghold.registry.plugins.module_utils._address import holds_address
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._trust_certs import plan_certs, trust_files
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import (
    ABSENT,
    DOCKER_HUB,
    INSECURE,
    TLS,
    Desired,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import EnginePlan
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import Step, make_directories

_INSECURE_KEY, _MIRRORS_KEY = "insecure-registries", "registry-mirrors"


@dataclass(frozen=True)
class Docker:
    """The engine of the host."""

    directory: str
    socket: str
    name: str = "docker"
    root: str = ""

    def is_here(self) -> bool:
        return _docker_engine.is_present(self.socket, self.root)

    def is_found(self, desired: Desired) -> bool:
        return os.path.isdir(self.directory) if desired.trust == ABSENT else self.is_here()

    def why_missing(self) -> str:
        return _docker_engine.why_unsupported(self.root) or ""

    def plan(self, desired: Desired) -> EnginePlan:
        engine = _docker_engine.observe(_config_path(self.directory), self.socket)
        return plan_docker(self.directory, desired, engine)


@dataclass(frozen=True)
class RootlessDocker:
    """The engine of a user, whose files are read and written with the user's rights alone."""

    account: Account
    name: str = "rootless_docker"

    @property
    def directory(self) -> str:
        return os.path.join(self.account.home, ".config/docker")

    @property
    def socket(self) -> str:
        return f"/run/user/{self.account.uid}/docker.sock"

    def is_here(self) -> bool:
        unit = os.path.join(self.account.home, ".config/systemd/user/docker.service")
        return os.path.exists(unit) or self._is_served()

    def _is_served(self) -> bool:
        try:
            found = os.lstat(self.socket)
        except OSError:
            return False
        return stat.S_ISSOCK(found.st_mode) and found.st_uid == self.account.uid

    def is_found(self, desired: Desired) -> bool:
        return os.path.isdir(self.directory) if desired.trust == ABSENT else self.is_here()

    def why_missing(self) -> str:
        return ""

    def plan(self, desired: Desired) -> EnginePlan:
        # Seen before the rights change, since a process in a user namespace may be closed to its own user.
        process, engine = _docker_engine.observe_rootless(self.account, self.socket)
        with acting_as(self.account):
            planned = plan_docker(self.directory, desired, engine)
        return replace(
            planned,
            steps=tuple(replace(step, perform=self._as_user(step.perform)) for step in planned.steps),
            reload_required=False,
            reload_process=(self.account.uid, process) if process and planned.reload_required else None,
        )

    def _as_user(self, perform: Callable[[], object]) -> Callable[[], object]:
        def act() -> None:
            with acting_as(self.account):
                perform()

        return act


def _config_path(directory: str) -> str:
    return os.path.join(directory, "daemon.json")


def plan_docker(directory: str, desired: Desired, engine: _docker_engine.Engine) -> EnginePlan:
    """What an engine needs whose files are below *directory*.

    :raises RegistryError: a file that cannot be parsed or is not ours, or a flag that undoes what is asked.
    """
    if desired.trust == TLS:
        _check_flags(desired.registry, engine)
    config, certs = _config_path(directory), os.path.join(directory, "certs.d")
    listed = _plan_lists(config, desired, engine)
    if desired.trust == TLS:
        _check_networks(desired.registry, listed, engine)
    steps, foreign = plan_certs(certs, desired)
    names_registry = desired.trust == INSECURE or DOCKER_HUB in desired.mirrored
    return EnginePlan(
        steps=(*steps, *_list_steps(directory, listed)),
        notes=tuple(listed.all_reasons[len(listed.reasons) + len(listed.attribute_reasons) :]),
        trust_files=(*trust_files(certs, desired), *([config] if names_registry else [])),
        foreign=foreign,
        reload_required=listed.needs.reload,
        placeholders=listed.placeholders,
        unsupported=tuple(
            f"Docker asks mirrors for images of {DOCKER_HUB} only, not for those of {upstream}."
            for upstream in desired.mirrored
            if upstream != DOCKER_HUB
        ),
    )


def _list_steps(directory: str, listed: _daemon_json.Plan) -> list[Step]:
    if not listed.changed:
        return []
    shown = _daemon_json.diff(listed)

    def write() -> None:
        make_directories(directory)
        _daemon_json.apply(listed)

    reason = f"{listed.request.path}: {'; '.join(listed.reasons + listed.attribute_reasons)}"
    return [Step(reason=reason, perform=write, before=shown["before"], after=shown["after"])]


def _plan_lists(path: str, desired: Desired, engine: _docker_engine.Engine) -> _daemon_json.Plan:
    wanted = {_INSECURE_KEY: [desired.registry] if desired.trust == INSECURE else []}
    wanted[_MIRRORS_KEY] = [desired.url] if DOCKER_HUB in desired.mirrored else []
    ours = {
        _INSECURE_KEY: [desired.registry],
        _MIRRORS_KEY: [f"{scheme}://{desired.registry}" for scheme in ("https", "http")],
    }
    planned = _daemon_json.plan(
        _daemon_json.Request(
            path=path,
            config={key: items for key, items in wanted.items() if items},
            unwanted={key: [item for item in items if item not in wanted[key]] for key, items in ours.items()},
        ),
        engine,
    )
    _daemon_json.check_content(planned)
    return planned


def _check_networks(registry: str, listed: _daemon_json.Plan, engine: _docker_engine.Engine) -> None:
    """An address within a network that is insecure is not verified either."""
    places = {listed.request.path: (listed.after or {}).get(_INSECURE_KEY) or []}
    places |= {flag.where: flag.value.split(",") for flag in engine.flags_for([_INSECURE_KEY])}
    for where, items in places.items():
        for item in items:
            if holds_address(item, registry):
                raise RegistryError(
                    f"registry: {where} makes all of {item} insecure, {registry} too, so TLS would not be verified. "
                    "Narrow it, or take it out there."
                )


def _check_flags(registry: str, engine: _docker_engine.Engine) -> None:
    for flag in engine.flags_for([_INSECURE_KEY]):
        if registry in flag.value.split(","):
            raise RegistryError(
                f"registry: {flag.where} makes {registry} insecure with the flag {flag.text}, so TLS would "
                "not be verified. Remove it there and restart the engine."
            )
