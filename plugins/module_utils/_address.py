# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of registries as engines write them: ``host`` or ``host:port``.

What an engine takes as an address is in reference/regexp.go of distribution/reference: labels of letters,
digits and hyphens, or an IPv6 address in brackets (since Docker 23), then an optional port.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_PORTS = range(1, 65536)
_NAME_LENGTH = 253
_LABEL_LENGTH = 63
"""RFC 1035, section 2.3.4, in characters."""


def address_problems(host: object, port: object) -> list[str]:
    """What is wrong with a host and a port given apart, a sentence each; nothing when they are good."""
    return host_problems(host) + port_problems(port)


def host_problems(host: object) -> list[str]:
    """What is wrong with a host: a name, an IPv4 address, or an IPv6 address without brackets."""
    if not isinstance(host, str) or not host.strip():
        return ["The host is empty: give the name or address under which clients reach the registry."]
    foreign = ""
    if "://" in host:
        foreign = f"a scheme: write it without '{host.split('://', 1)[0]}://'"
    elif "/" in host:
        foreign = "a slash: a registry's address has no path"
    elif any(character.isspace() for character in host):
        foreign = "white space in it: remove it"
    elif host.startswith("["):
        foreign = "brackets: write an IPv6 address without them, and the port apart"
    elif host.count(":") == 1:
        foreign = "a port in it: give the port apart"
    return [f"The host '{host}' has {foreign}."] if foreign else _literal_problems(host)


def _literal_problems(host: str) -> list[str]:
    if ":" in host:
        valid = "%" not in host and _is_ip(host)
        return [] if valid else [f"The host '{host}' is not a valid IPv6 address."]
    labels = host.split(".")
    if labels[-1].isdigit():
        return [] if _is_ip(host) else [f"The host '{host}' is not a valid IPv4 address."]
    return _name_problems(host, labels)


def _name_problems(host: str, labels: list[str]) -> list[str]:
    problems = []
    if any(len(label) > _LABEL_LENGTH for label in labels) or len(host) > _NAME_LENGTH:
        problems.append(
            f"The host '{host}' is too long: a name has {_NAME_LENGTH} characters at most, "
            f"each part of it {_LABEL_LENGTH}."
        )
    if not all(_LABEL.fullmatch(label) for label in labels):
        problems.append(
            f"The host '{host}' is not a valid name: its parts, separated by dots, are letters, digits and "
            "hyphens, and begin and end with a letter or digit."
        )
    elif host != host.lower():
        problems.append(
            f"The host '{host}' has upper case letters: names resolve in either case, but engines compare "
            f"image references, certs.d and logins letter by letter; write '{host.lower()}'."
        )
    return problems


def port_problems(port: object) -> list[str]:
    """What is wrong with a port: a whole number from 1 to 65535, or its digits."""
    text = str(port)
    if isinstance(port, bool) or not isinstance(port, (int, str)) or not re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        return [f"The port '{port}' is not a whole number."]
    if int(text) not in _PORTS:
        return [f"The port {text} is outside {_PORTS[0]} to {_PORTS[-1]}."]
    return []


def registry_problems(registry: str) -> list[str]:
    """What is wrong with ``host`` or ``host:port``, where IPv6 stands in brackets."""
    if not registry.strip() or "/" in registry:
        return host_problems(registry)
    host, port = split_registry(registry)
    problems = host_problems(host) + ([] if port is None else port_problems(port))
    if not problems and ":" in host and not registry.startswith("["):
        problems.append(f"The registry '{registry}' is a bare IPv6 address: write it in brackets, as [{host}]:5000.")
    elif not problems and port is None and "." not in host and ":" not in host and host != "localhost":
        problems.append(
            f"The registry '{registry}' has neither a dot nor a port: engines would take it as a part of "
            f"Docker Hub; write it as {host}:5000 or with its domain."
        )
    return problems


def split_registry(registry: str) -> tuple[str, str | None]:
    """``host:port`` in its parts, without the brackets of IPv6; the port is None where there is none."""
    bracketed = re.fullmatch(r"\[(?P<host>[^]]*)\](:(?P<port>.*))?", registry)
    if bracketed:
        return bracketed["host"], bracketed["port"]
    if registry.count(":") == 1:
        host, port = registry.split(":")
        return host, port
    return registry, None


def is_network(text: str) -> bool:
    """Whether a text is a network such as ``10.0.0.0/8``."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def holds_address(network: str, registry: str) -> bool:
    """Whether a registry is given by an address of a network; a name is not looked up."""
    host, _port = split_registry(registry)
    if not is_network(network) or not _is_ip(host):
        return False
    return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
