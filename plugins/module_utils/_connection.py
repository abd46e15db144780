# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of modules that speak to a registry: where it is, whom to trust, who asks (fragment connection)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials, Endpoint

ARGUMENTS: dict[str, Any] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5000},
    "address": {"type": "str"},
    "security": {"type": "str", "choices": ["tls", "insecure"], "default": "tls"},
    "ca_certificate": {"type": "str"},
    "client_certificate": {"type": "str", "default": "", "no_log": True},
    "client_key": {"type": "str", "default": "", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "timeout": {"type": "int", "default": 30},
}

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PORTS = range(1, 65536)


def parse_endpoint(params: Mapping[str, Any]) -> Endpoint:
    """Read where the registry is.

    :raises RegistryError: which parameter is wrong, and what it should be.
    """
    hosts = {key: (params[key] or "").strip("[]") for key in ("host", "address")}
    for key, host in hosts.items():
        if (host or key == "host") and not _HOST.fullmatch(host):
            raise RegistryError(
                f"{key}: '{host}' is neither a name nor an address; write it without scheme, port and path."
            )
    if params["port"] not in _PORTS:
        raise RegistryError(f"port: is {params['port']}, wanted {_PORTS[0]} to {_PORTS[-1]}.")
    if params["client_certificate"] or params["client_key"]:
        check_client_pair(params["client_certificate"], params["client_key"])
    return Endpoint(
        host=hosts["host"],
        port=params["port"],
        tls=params["security"] == "tls",
        ca_certificate=params["ca_certificate"] or "",
        address=hosts["address"],
        client_certificate=params["client_certificate"],
        client_key=params["client_key"],
    )


def parse_credentials(params: Mapping[str, Any]) -> Optional[Credentials]:
    """Read who asks; None for anybody.

    :raises RegistryError: half of them, or a name that no user can have.
    """
    username, password = params["username"] or "", params["password"] or ""
    if bool(username) != bool(password):
        raise RegistryError("username and password: give both or none.")
    if ":" in username:
        raise RegistryError("username: has a colon, which no user of a registry can have.")
    return Credentials(username, password) if username else None


def parse_timeout(params: Mapping[str, Any]) -> float:
    """Read the patience in seconds.

    :raises RegistryError: it is not above 0.
    """
    if params["timeout"] <= 0:
        raise RegistryError(f"timeout: is {params['timeout']}, wanted seconds above 0.")
    return float(params["timeout"])
