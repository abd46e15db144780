# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in certificates: subjects, and subject alternative names (SAN), as wanted and as found.

Rules are those of RFC 5280 (4.1.2.4, 4.2.1.6, appendix A.1 for lengths) and of Go's crypto/x509, which Docker obeys.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

# A host without the library is told so by _dependencies.require(), not by a traceback.
with contextlib.suppress(ImportError):
    from cryptography import x509
    from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

DNS = "DNS"
IP = "IP"

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_NAME_BYTES = 253
_LABEL_BYTES = 63
_PREFIX = re.compile(r"(?P<kind>dns|ip):(?P<rest>.*)", re.IGNORECASE | re.DOTALL)

_ATTRIBUTES = {
    "CN": ("COMMON_NAME", 64),
    "C": ("COUNTRY_NAME", 2),
    "ST": ("STATE_OR_PROVINCE_NAME", 128),
    "L": ("LOCALITY_NAME", 128),
    "O": ("ORGANIZATION_NAME", 64),
    "OU": ("ORGANIZATIONAL_UNIT_NAME", 64),
    "emailAddress": ("EMAIL_ADDRESS", 255),
}
"""Short name of a subject's attribute: its constant in NameOID, and the characters that it holds at most."""

Subject = tuple[tuple[str, str], ...]
"""Attributes and their values, in order: ``(("C", "DE"), ("CN", "registry.lab"))``."""


@dataclass(frozen=True, order=True)
class Name:
    """One subject alternative name. The value is canonical: names in lower case, addresses as ipaddress prints them."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    @property
    def short(self) -> str:
        """Without its kind where the parameter ``names`` would read it as the same name again."""
        with contextlib.suppress(RegistryError):
            if parse_name(self.value) == self:
                return self.value
        return str(self)


def parse_name(text: object) -> Name:
    """Read a DNS name, a wildcard or an address, with or without the prefix ``DNS:`` or ``IP:``.

    :raises RegistryError: it is neither.
    """
    if not isinstance(text, str):
        raise RegistryError(f"names: '{text}' is not a text; put it in quotes.")
    match = _PREFIX.fullmatch(text.strip())
    kind, value = (match["kind"].upper(), match["rest"]) if match else ("", text.strip())
    address = _address(value)
    if address is not None and kind != DNS:
        return Name(IP, address)
    problem = "is not an address" if kind == IP else _dns_problem(value.lower())
    if problem:
        raise RegistryError(f"names: '{text}' {problem}; give names such as registry.lab or *.lab, or addresses.")
    return Name(DNS, value.lower())


def parse_names(names: object) -> tuple[Name, ...]:
    """Read a list of names; one that is given twice counts once.

    :raises RegistryError: it is no list, or one of them is neither a name nor an address.
    """
    if not isinstance(names, (list, tuple)):
        raise RegistryError("names must be a list, such as [registry.lab, 192.0.2.10].")
    return tuple(dict.fromkeys(parse_name(name) for name in names))


def _address(text: str) -> str | None:
    # A zone (fe80::1%eth0) has a meaning on one host only.
    if "%" in text:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _dns_problem(name: str) -> str:
    labels = name.split(".")
    plain = labels[1:] if labels[0] == "*" and len(labels) > 1 else labels
    problem = ""
    if not name.isascii():
        problem = "has letters beyond ASCII; write it in its ASCII form (xn--...)"
    elif len(name) > _NAME_BYTES or any(len(label) > _LABEL_BYTES for label in labels):
        problem = f"is longer than {_NAME_BYTES} characters, or a part of it than {_LABEL_BYTES}"
    elif labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in plain):
        problem = "is neither a DNS name nor an address"
    return problem


def covers(names: Sequence[Name], wanted: Name) -> bool:
    """Whether a client that asks for *wanted* accepts a certificate with these names (RFC 6125, 6.4)."""
    if wanted in names:
        return True
    _first, dot, rest = wanted.value.partition(".")
    return wanted.kind == DNS and bool(dot) and Name(DNS, f"*.{rest}") in names


def to_general_names(names: Sequence[Name]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        x509.IPAddress(ipaddress.ip_address(name.value)) if name.kind == IP else x509.DNSName(name.value)
        for name in names
    )


def from_general_names(found: Sequence[x509.GeneralName]) -> tuple[Name, ...]:
    return tuple(_from_general_name(name) for name in found)


def _from_general_name(name: x509.GeneralName) -> Name:
    if isinstance(name, x509.DNSName):
        return Name(DNS, name.value.lower())
    if isinstance(name, x509.IPAddress):
        return Name(IP, str(name.value))
    if isinstance(name, x509.RFC822Name):
        return Name("email", name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        return Name("URI", name.value)
    return Name("other", type(name).__name__)


def parse_subject(subject: object) -> Subject:
    """Read a mapping such as ``{CN: registry.lab, O: Example}``; its order is the subject's. A null is left out.

    :raises RegistryError: an unknown attribute, or a value that X.509 does not allow.
    """
    if not isinstance(subject, dict):
        raise RegistryError("subject must be a mapping such as {CN: registry.lab, O: Example}.")
    for key in subject:
        if key not in _ATTRIBUTES:
            raise RegistryError(f"subject: '{key}' is not among its attributes ({', '.join(_ATTRIBUTES)}).")
    given = {str(key): value for key, value in subject.items() if value is not None}
    return tuple((key, _parse_attribute(key, value)) for key, value in given.items())


def _parse_attribute(key: str, value: object) -> str:
    text = str(value)
    most = _ATTRIBUTES[key][1]
    problem = ""
    if isinstance(value, (bool, dict, list)):
        # YAML reads the country NO as false.
        problem = f"is '{value}', not a text; put it in quotes"
    elif not 1 <= len(text) <= most:
        problem = f"has {len(text)} characters; give 1 to {most}"
    elif not text.isprintable() or text != text.strip():
        problem = "has control characters, or white space at an end; remove them"
    elif key == "C" and not (len(text) == most and text.isascii() and text.isalpha()):
        problem = f"is '{text}'; give the two letters of a country, such as DE"
    elif key == "emailAddress" and not text.isascii():
        problem = "has letters beyond ASCII; write its domain in its ASCII form (xn--...)"
    if problem:
        raise RegistryError(f"subject: {key} {problem}.")
    return text.upper() if key == "C" else text


def to_x509_name(subject: Subject) -> x509.Name:
    return x509.Name(x509.NameAttribute(getattr(NameOID, _ATTRIBUTES[key][0]), value) for key, value in subject)


def from_x509_name(name: x509.Name) -> Subject:
    short = {getattr(NameOID, constant): key for key, (constant, _most) in _ATTRIBUTES.items()}
    return tuple((short.get(item.oid, item.oid.dotted_string), _text(item.value)) for item in name)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def describe_subject(subject: Subject) -> str:
    """In the notation of ``openssl x509 -subject``: ``C=DE, CN=registry.lab``."""
    return ", ".join(f"{key}={value}" for key, value in subject)
