# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of this host are logged in to a registry, or no longer are."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._accounts import (
    Account,
    acting_as,
    find_users,
)
from ansible_collections.stronghold.registry.plugins.module_utils._address import (
    host_problems,
    registry_problems,
    split_registry,
)
from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._connection import parse_timeout
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._login_files import (
    Place,
    Plan,
    plan_login,
    plan_logout,
)
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import (
    Client,
    Credentials,
    Endpoint,
    parse_challenge,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import parse_anchor

BASE = "/v2/"
PROGRAMS = {"docker": ("docker",), "podman": ("podman", "buildah", "skopeo")}
"""The kinds of clients, each with the programs that read its files."""


@dataclass(frozen=True)
class Desired:
    """Who is to be logged in to which registry; nobody without credentials."""

    registry: str
    endpoint: Endpoint
    credentials: Optional[Credentials] = None
    verify: bool = True
    timeout: float = 30


def parse_desired(params: Mapping[str, Any]) -> Desired:
    """Check what the module was given, users and clients aside.

    :raises RegistryError: which parameter is wrong and why.
    """
    problems = registry_problems(params["registry"])
    if problems:
        raise RegistryError(f"registry: {' '.join(problems)}")
    return Desired(
        registry=params["registry"],
        endpoint=_parse_endpoint(params),
        credentials=None if params["state"] == "absent" else _parse_credentials(params),
        verify=params["verify"],
        timeout=parse_timeout(params),
    )


def _parse_credentials(params: Mapping[str, Any]) -> Credentials:
    username, password = params["username"] or "", params["password"] or ""
    if not username or not password:
        raise RegistryError("username and password: give both; only a logout needs none.")
    if ":" in username:
        raise RegistryError("username: has a colon, which no user of a registry can have.")
    return Credentials(username, password)


def _parse_endpoint(params: Mapping[str, Any]) -> Endpoint:
    tls = params["security"] == "tls"
    host, port = split_registry(params["registry"])
    address = (params["address"] or "").strip("[]")
    problems = host_problems(address) if address else []
    if problems:
        raise RegistryError(f"address: {' '.join(problems)}")
    parse_anchor(params["ca_certificate"])
    _check_client(params, tls)
    return Endpoint(
        host=host,
        port=int(port or (http.client.HTTPS_PORT if tls else http.client.HTTP_PORT)),
        tls=tls,
        ca_certificate=params["ca_certificate"],
        address=address,
        client_certificate=params["client_certificate"],
        client_key=params["client_key"],
    )


def _check_client(params: Mapping[str, Any], tls: bool) -> None:
    certificate, key = params["client_certificate"], params["client_key"]
    if not certificate.strip() and not key.strip():
        return
    if not tls:
        raise RegistryError(
            "client_certificate: nothing asks for one without TLS; leave it out or set security to tls."
        )
    check_client_pair(certificate, key)


def places_of(account: Account, client: str) -> list[Place]:
    """The files in which a user's clients of a kind look for logins."""
    if client == "docker":
        return [Place(account, os.path.join(account.home, ".docker/config.json"), has_store=True)]
    # The path of root's (pkg/docker/config of containers/image) is another without a session.
    runtimes = [f"/run/user/{account.uid}/containers", *(["/run/containers/0"] if account.uid == 0 else [])]
    return [
        Place(account, os.path.join(account.home, ".config/containers/auth.json")),
        *(Place(account, os.path.join(runtime, "auth.json"), transient=True) for runtime in runtimes),
    ]


def chosen_clients(names: Sequence[str], accounts: Sequence[Account], *, absent: bool, root: str = "") -> list[str]:
    """The kinds of clients to handle: those named, or with ``auto`` those of the host below *root*, or with a file.

    :raises RegistryError: there is none to log in.
    """
    if "auto" not in names:
        return [client for client in PROGRAMS if client in names]
    if absent:
        return [client for client in PROGRAMS if any(_has_file(account, client) for account in accounts)]
    here = [client for client, programs in PROGRAMS.items() if any(find_program(name, root) for name in programs)]
    if not here:
        raise RegistryError(
            "clients: there is none on this host. Install one (docker, podman, buildah or skopeo), or name the kind "
            "to prepare the host before it is installed."
        )
    return here


def _has_file(account: Account, client: str) -> bool:
    with acting_as(account):
        return any(os.path.exists(place.path) for place in places_of(account, client))


def verify(desired: Desired, credentials: Credentials) -> Optional[bool]:
    """Try the credentials at the registry: True where it lets the user in, None where it asks nobody for a password.

    :raises RegistryError: it refuses them, or cannot be asked.
    """
    client = Client(desired.endpoint, desired.timeout)
    reply = client.reach(BASE)
    if reply.status == http.client.OK:
        return None
    if parse_challenge(reply.header("WWW-Authenticate")).scheme == "bearer":
        raise RegistryError(
            f"{desired.endpoint} wants tokens (Bearer), with which no login can be tried yet: set verify to false."
        )
    if reply.status == http.client.UNAUTHORIZED:
        reply = client.request("GET", BASE, credentials=credentials)
    if reply.status == http.client.UNAUTHORIZED:
        raise RegistryError(
            f"{desired.endpoint} refuses the password of user {credentials.username}: another one is in its user "
            "file, or the user is not. Nothing was written."
        )
    if reply.status != http.client.OK:
        raise RegistryError(
            f"{desired.endpoint} answers {reply.fault} to the login of user {credentials.username}. "
            "Nothing was written."
        )
    return True


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_login: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, a user without a home, a file or helper that cannot be used, or a login
        that the registry refuses.
    """
    desired = parse_desired(params)
    accounts = find_users(params["users"])
    clients = chosen_clients(params["clients"], accounts, absent=desired.credentials is None)
    plans = plan_places(desired, accounts, clients)
    verified, warnings = tried(desired, check_mode)
    if not check_mode:
        perform(plans)
    return {
        "changed": any(plan.reasons for plan in plans),
        "reasons": [reason for plan in plans for reason in plan.reasons],
        "clients": clients,
        "files": [plan.place.path for plan in plans if plan.holds],
        "verified": verified,
        "warnings": warnings,
        "diff": {
            "before_header": desired.registry,
            "after_header": desired.registry,
            "before": "".join(plan.before for plan in plans),
            "after": "".join(plan.after for plan in plans),
        },
    }


def plan_places(desired: Desired, accounts: Sequence[Account], clients: Sequence[str]) -> list[Plan]:
    """What has to be done to the files of these users' clients, each planned with the rights of its user.

    :raises RegistryError: it cannot be done.
    """
    places = [place for account in accounts for client in clients for place in places_of(account, client)]
    return [_plan_place(place, desired) for place in places]


def _plan_place(place: Place, desired: Desired) -> Plan:
    with acting_as(place.account):
        if desired.credentials is None:
            return plan_logout(place, desired.registry)
        return plan_login(place, desired.registry, desired.credentials)


def perform(plans: Iterable[Plan]) -> None:
    """Do what was planned, with the rights of the files' users."""
    for plan in plans:
        with acting_as(plan.place.account):
            for action in plan.actions:
                action()


def tried(desired: Desired, check_mode: bool) -> tuple[Optional[bool], list[str]]:
    """Whether the login works, and warnings: in check mode a run before may be about to make it work."""
    if desired.credentials is None or not desired.verify:
        return None, []
    try:
        return verify(desired, desired.credentials), []
    except RegistryError as error:
        if not check_mode:
            raise
        return False, [str(error)]
