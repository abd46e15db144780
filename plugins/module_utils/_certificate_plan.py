# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a private key, its certificate or the files that hold them have to change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    AUTHORITY_KEY,
    CA,
    SUBJECT_KEY,
    Authority,
    Certificate,
    Template,
    describe_extensions,
    is_signed_by,
    isoformat,
    wanted_extensions,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import describe_subject

if TYPE_CHECKING:
    from datetime import datetime

    from ansible_collections.stronghold.registry.plugins.module_utils._certificate_request import Request
    from ansible_collections.stronghold.registry.plugins.module_utils._private_key import PrivateKey


@dataclass(frozen=True)
class Current:
    """What is on disk; None is not there, or with ``force`` unreadable. *following* stands below the certificate."""

    certificate: Certificate | None = None
    following: tuple[Certificate, ...] = ()
    key: PrivateKey | None = None


@dataclass(frozen=True)
class Plan:
    """Why what has to be done: a new key, the same key written anew, and likewise for the certificate."""

    key: tuple[str, ...] = ()
    key_file: tuple[str, ...] = ()
    certificate: tuple[str, ...] = ()
    certificate_file: tuple[str, ...] = ()

    @property
    def reasons(self) -> list[str]:
        # With force both parts have the same reason.
        return list(dict.fromkeys(self.key + self.key_file + self.certificate + self.certificate_file))


def explain(current: Current, request: Request, authority: Authority | None, now: datetime) -> Plan:
    """Why the key, the certificate or the files that hold them have to change."""
    if request.force:
        forced = ("force is set: key and certificate are made anew",)
        return Plan(key=forced, certificate=forced)
    key = _explain_key(current.key, request)
    certificate = tuple(_explain_certificate(current, request, authority, now, new_key=bool(key)))
    key_file: tuple[str, ...] = ()
    if current.key is not None and not key and request.passphrase is not None and not current.key.encrypted:
        key_file = ("private key is not encrypted, wanted with a passphrase",)
    certificate_file: tuple[str, ...] = ()
    if not certificate and current.following != following_certificates(request, authority):
        certificate_file = (_explain_chain(current.following, following_certificates(request, authority)),)
    return Plan(key, key_file, certificate, certificate_file)


def following_certificates(request: Request, authority: Authority | None) -> tuple[Certificate, ...]:
    """The certificates wanted below the certificate in its file."""
    return authority.certificates if authority is not None and request.chain else ()


def _explain_chain(found: tuple[Certificate, ...], wanted: tuple[Certificate, ...]) -> str:
    descriptions = [" > ".join(entry.describe() for entry in chain) or "nothing" for chain in (found, wanted)]
    if descriptions[0] == descriptions[1]:
        return "chain holds a former certificate of the CA"
    return f"chain below the certificate is {descriptions[0]}, wanted {descriptions[1]}"


def _explain_key(key: PrivateKey | None, request: Request) -> tuple[str, ...]:
    if key is None:
        return (f"{request.privatekey_path}: is not there",)
    if key.kind != request.kind:
        return (f"private key is {key.kind}, wanted {request.kind}",)
    return ()


def _explain_certificate(
    current: Current, request: Request, authority: Authority | None, now: datetime, *, new_key: bool
) -> list[str]:
    certificate, key = current.certificate, current.key
    if certificate is None:
        return [f"{request.path}: is not there"]
    reasons = []
    if new_key or key is None:
        reasons.append("certificate is for the former private key")
    elif key.public != certificate.public:
        reasons.append("private key does not match the certificate")
    if certificate.subject != request.template.subject:
        wanted = describe_subject(request.template.subject)
        reasons.append(f"subject is {certificate.describe()}, wanted {wanted}")
    reasons += _explain_names(certificate, request.template)
    reasons += _explain_issuer(certificate, request, authority)
    if key is not None and not reasons:
        reasons += _explain_extensions(certificate, request.template, key, authority)
    return reasons + _explain_validity(certificate, request.renew_before, now)


def _explain_names(certificate: Certificate, template: Template) -> list[str]:
    if template.usage == CA:
        return []
    lacking = [f"SAN lacks {name}" for name in template.names if name not in certificate.names]
    return lacking + [f"SAN has {name}, not wanted" for name in certificate.names if name not in template.names]


def _explain_issuer(certificate: Certificate, request: Request, authority: Authority | None) -> list[str]:
    issuer = describe_subject(certificate.issuer)
    if not request.has_ca:
        return [] if is_signed_by(certificate, certificate) else [f"issuer is {issuer}, wanted self-signed"]
    if authority is None:
        return ["the CA is not there yet"]
    if is_signed_by(certificate, authority.certificate):
        return []
    if certificate.issuer != authority.certificate.subject:
        return [f"issuer is {issuer}, wanted {authority.certificate.describe()}"]
    return [f"certificate is not signed by the present key of {issuer}"]


def _explain_extensions(
    certificate: Certificate, template: Template, key: PrivateKey, authority: Authority | None
) -> list[str]:
    found = certificate.extensions
    wanted = describe_extensions(wanted_extensions(template, key.key.public_key(), authority))
    reasons = []
    for extension in sorted({*found, *wanted}):
        # Any key identifier of the own key serves, and a root may name itself as its authority.
        free = (extension == SUBJECT_KEY and extension in found) or (
            extension == AUTHORITY_KEY and template.usage == CA
        )
        if not free and found.get(extension) != wanted.get(extension):
            absent = "absent"
            reasons.append(f"{extension} is {found.get(extension, absent)}, wanted {wanted.get(extension, absent)}")
    if certificate.weak_hash:
        reasons.append(f"signature is made with {certificate.weak_hash}, wanted sha256")
    return reasons


def _explain_validity(certificate: Certificate, renew_before: int, now: datetime) -> list[str]:
    if certificate.not_before > now:
        return [f"not valid before {isoformat(certificate.not_before)}"]
    if certificate.not_after <= now:
        return [f"expired on {isoformat(certificate.not_after)}"]
    if certificate.not_after - now < timedelta(days=renew_before):
        return [f"expires in {certificate.days_left(now)} days, renewal is due {renew_before} days before"]
    return []
