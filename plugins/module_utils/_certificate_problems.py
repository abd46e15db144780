# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a certificate, its chain and its key, in sentences. Nothing here raises, and no key is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    ANY_PURPOSE,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    SERVER_AUTHENTICATION,
    Certificate,
    is_signed_by,
    isoformat,
    load_certificates,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import (
    DNS,
    IP,
    Name,
    covers,
    describe_subject,
    parse_names,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import RSA, load_key

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_RSA_BITS = 2048
_MOST_LINKS = 10


@dataclass(frozen=True)
class Expectations:
    """What a certificate is held against. Texts are PEM; what is empty is not looked at."""

    private_key: str = field(default="", repr=False)
    passphrase: str | None = field(default=None, repr=False)
    anchor: str = ""
    names: tuple[str, ...] = ()


def text_problems(text: object, expected: Expectations) -> list[str]:
    """As :func:`problems`, of a PEM text with a certificate and its chain."""
    try:
        certificates = load_certificates(text if isinstance(text, str) else "", "The text")
    except RegistryError as error:
        return [str(error)]
    return problems(certificates, expected, datetime.now(timezone.utc))


def problems(certificates: Sequence[Certificate], expected: Expectations, now: datetime) -> list[str]:
    """What is wrong with the first certificate and the chain that follows it; nothing when all is well."""
    certificate, *chain = certificates
    found = _validity_problems(certificate, "The certificate", now)
    if not certificate.is_ca or expected.names:
        found += _server_problems(certificate)
    found += _strength_problems(certificate)
    found += _name_problems(certificate, expected.names)
    found += _key_problems(certificate, expected)
    found += _chain_problems(certificates, now)
    return found + (_anchor_problems(certificate, chain, expected.anchor, now) if expected.anchor else [])


def _validity_problems(certificate: Certificate, what: str, now: datetime) -> list[str]:
    if certificate.not_after <= now:
        return [f"{what} expired on {isoformat(certificate.not_after)}."]
    if certificate.not_before > now:
        return [f"{what} is not valid before {isoformat(certificate.not_before)}."]
    return []


def _server_problems(certificate: Certificate) -> list[str]:
    found = []
    if not any(name.kind in (DNS, IP) for name in certificate.names):
        found.append("The certificate has no subject alternative name: Docker refuses it, whatever its CN.")
    purposes = certificate.extensions.get(EXTENDED_KEY_USAGE)
    if purposes is not None and SERVER_AUTHENTICATION not in purposes and ANY_PURPOSE not in purposes:
        found.append(f"The certificate is not for TLS servers: its extended key usage is {purposes}.")
    usages = certificate.extensions.get(KEY_USAGE)
    if usages is not None and "digital signature" not in usages:
        found.append(f"The certificate's key may not sign handshakes: its key usage is {usages}.")
    return found


def _strength_problems(certificate: Certificate) -> list[str]:
    found = []
    if certificate.weak_hash and not is_signed_by(certificate, certificate):
        found.append(f"The certificate is signed with {certificate.weak_hash}, which clients refuse.")
    if certificate.kind.type == RSA and certificate.kind.size < _LEAST_RSA_BITS:
        found.append(f"The certificate's key has {certificate.kind.size} bits only; RSA needs {_LEAST_RSA_BITS}.")
    return found


def _name_problems(certificate: Certificate, names: Sequence[str]) -> list[str]:
    try:
        wanted = parse_names(list(names))
    except RegistryError as error:
        return [str(error)]
    return [_uncovered(certificate, name) for name in wanted if not covers(certificate.names, name)]


def _uncovered(certificate: Certificate, name: Name) -> str:
    if name.kind == IP and Name(DNS, name.value) in certificate.names:
        return f"The certificate has the address {name.value} as a DNS name; clients look for it among the addresses."
    there = ", ".join(found.short for found in certificate.names) or "none"
    return f"The certificate does not cover {name.short}; its names are: {there}."


def key_matches(certificate: Certificate, expected: Expectations) -> bool | None:
    """Whether the private key is the certificate's; None where none was given."""
    if not expected.private_key:
        return None
    try:
        return load_key(expected.private_key, "", expected.passphrase).public == certificate.public
    except RegistryError:
        return False


def _key_problems(certificate: Certificate, expected: Expectations) -> list[str]:
    if not expected.private_key:
        return []
    try:
        key = load_key(expected.private_key, "The text for the key", expected.passphrase)
    except RegistryError as error:
        return [str(error)]
    if key.public != certificate.public:
        return [f"The private key ({key.kind}) does not match the certificate ({certificate.kind})."]
    return []


def _chain_problems(certificates: Sequence[Certificate], now: datetime) -> list[str]:
    found = []
    for lower, upper in zip(certificates, certificates[1:]):
        found += _validity_problems(upper, f"The chain's certificate {upper.describe()}", now)
        if not is_signed_by(lower, upper):
            issuer = describe_subject(lower.issuer)
            found.append(
                f"The chain is out of order: below {lower.describe()} stands {upper.describe()}, "
                f"which did not sign it; its issuer is {issuer}."
            )
    return found


def _anchor_problems(certificate: Certificate, chain: Sequence[Certificate], text: str, now: datetime) -> list[str]:
    try:
        anchors = load_certificates(text, "The text for the trust anchor")
    except RegistryError as error:
        return [str(error)]
    anchor = _find_anchor(certificate, chain, anchors)
    if anchor is None:
        described = ", ".join(entry.describe() for entry in anchors)
        issuer = describe_subject(certificate.issuer)
        return [f"The certificate does not lead to the trust anchor ({described}); its issuer is {issuer}."]
    if anchor == certificate:
        return []
    if not anchor.is_ca:
        return [f"The trust anchor {anchor.describe()} is not a CA's certificate."]
    return _validity_problems(anchor, f"The trust anchor {anchor.describe()}", now)


def _find_anchor(
    certificate: Certificate, chain: Sequence[Certificate], anchors: Sequence[Certificate]
) -> Certificate | None:
    current: Certificate | None = certificate
    for _link in range(_MOST_LINKS):
        if current is None:
            break
        if current in anchors:
            return current
        signer = _signer(current, anchors)
        if signer is not None:
            return signer
        current = _signer(current, [entry for entry in chain if entry != current and entry.is_ca])
    return None


def _signer(certificate: Certificate, candidates: Sequence[Certificate]) -> Certificate | None:
    return next((candidate for candidate in candidates if is_signed_by(certificate, candidate)), None)
