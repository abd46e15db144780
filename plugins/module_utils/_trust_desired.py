# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host's engines shall treat a registry: what the module client_trust is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils._address import registry_problems
from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import check_anchor, parse_anchor

TLS, INSECURE, ABSENT = "tls", "insecure", "absent"
DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class ClientPair:
    """With what a client proves itself to a registry: PEM texts of a certificate with its chain, and its key."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Desired:
    """How the engines shall treat a registry.

    The trust anchor is certificates in DER, or none. Images of the registries in *mirrored* are asked of this one
    first. The login is for engines that keep it beside the trust.
    """

    registry: str
    trust: str = TLS
    anchor: tuple[bytes, ...] = ()
    client: ClientPair | None = None
    mirrored: tuple[str, ...] = ()
    login: Credentials | None = None
    force: bool = False

    @property
    def url(self) -> str:
        return f"{'http' if self.trust == INSECURE else 'https'}://{self.registry}"

    @property
    def file_name(self) -> str:
        """The registry as a part of a file's name; no name of a host has an underscore."""
        return self.registry.replace("[", "").replace("]", "_").replace(":", "_")


def parse_desired(params: dict[str, Any]) -> Desired:
    """Check what the module was given.

    :raises RegistryError: which parameter is wrong and why.
    """
    _check_registry("registry", params["registry"])
    for upstream in params["mirrored"]:
        _check_registry("mirrored", upstream)
        if upstream == params["registry"]:
            raise RegistryError(f"mirrored: {upstream} is the registry itself, which cannot be its own mirror.")
    anchor = parse_anchor(params["ca_certificate"])
    check_anchor(anchor)
    absent = params["state"] == "absent"
    return Desired(
        registry=params["registry"],
        trust=ABSENT if absent else params["security"],
        anchor=anchor,
        client=None if absent else _parse_client(params),
        mirrored=() if absent else tuple(dict.fromkeys(params["mirrored"])),
        login=None if absent else _parse_login(params),
        force=params["force"],
    )


def _check_registry(parameter: str, registry: str) -> None:
    problems = registry_problems(registry)
    if problems:
        raise RegistryError(f"{parameter}: {' '.join(problems)}")


def _parse_client(params: dict[str, Any]) -> ClientPair | None:
    certificate, key = params["client_certificate"], params["client_key"]
    if not certificate.strip() and not key.strip():
        return None
    if params["security"] == INSECURE:
        raise RegistryError(
            "client_certificate: nothing asks for one without TLS; leave it out or set security to tls."
        )
    check_client_pair(certificate, key)
    return ClientPair(certificate=certificate, key=key)


def _parse_login(params: dict[str, Any]) -> Credentials | None:
    username, password = params["username"], params["password"]
    if bool(username) != bool(password):
        raise RegistryError("username and password: give both or none.")
    if ":" in username:
        raise RegistryError("username: has a colon, which no user of a registry can have.")
    return Credentials(username, password) if username else None
