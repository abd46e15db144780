# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key and its certificate on disk: what is there, why it has to change, and the change.

The logic of the module certificate. What is wanted is in _certificate_request; what a certificate is made of in
_certificate, _certificate_names and _private_key.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    AUTHORITY_KEY,
    CA,
    KEY_USAGE,
    SUBJECT_KEY,
    Authority,
    Certificate,
    Template,
    certificate_facts,
    describe_extensions,
    is_signed_by,
    isoformat,
    issue,
    load_certificates,
    wanted_extensions,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import describe_subject
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_request import (
    Request,
    parse_request,
)
from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import require
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    attributes_from,
    explain_attributes,
    read_text,
    remove_file,
    set_attributes,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import (
    PrivateKey,
    dump_key,
    generate,
    load_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Current", "Plan", "Request", "explain", "parse_request", "read_authority", "read_current", "run"]

_FACTS = (
    "certificate",
    "fingerprint",
    "not_before",
    "not_after",
    "days_left",
    "serial",
    "subject",
    "issuer",
    "names",
)


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


def read_authority(request: Request, now: datetime) -> Authority | None:
    """The CA that shall sign, or None where its files are not there (or none is wanted).

    :raises RegistryError: it can't sign: no CA, another's key, not valid yet, or unreadable.
    """
    if not request.ca_path:
        return None
    text, key_text = read_text(request.ca_path), read_text(request.ca_privatekey_path)
    if text is None or key_text is None:
        return None
    certificates = load_certificates(text, f"ca_path: {request.ca_path}")
    source = f"ca_privatekey_path: {request.ca_privatekey_path}"
    key = load_key(key_text, source, request.ca_passphrase)
    certificate = certificates[0]
    if not certificate.is_ca or "key cert sign" not in certificate.extensions.get(KEY_USAGE, "key cert sign"):
        raise RegistryError(f"ca_path: {request.ca_path} ({certificate.describe()}) is not a CA's certificate.")
    if key.public != certificate.public:
        raise RegistryError(f"{source} is not the key of the certificate in {request.ca_path}.")
    if certificate.not_before > now:
        raise RegistryError(
            f"ca_path: {request.ca_path} is not valid before {isoformat(certificate.not_before)}; check the clock."
        )
    if certificate.subject == request.template.subject:
        raise RegistryError("subject is that of the CA: clients would take the certificate for the CA's; change it.")
    return Authority(certificates, key)


def read_current(request: Request) -> Current:
    """:raises RegistryError: a file is there and unreadable, and there is no ``force``."""
    certificates: tuple[Certificate, ...] = ()
    key = None
    with _unreadable(request.force):
        certificates = _read_certificates(request)
    with _unreadable(request.force):
        key = _read_key(request)
    return Current(certificates[0] if certificates else None, certificates[1:], key)


def _read_certificates(request: Request) -> tuple[Certificate, ...]:
    text = read_text(request.path)
    return () if text is None else load_certificates(text, f"path: {request.path}")


def _read_key(request: Request) -> PrivateKey | None:
    text = read_text(request.privatekey_path)
    return None if text is None else load_key(text, f"privatekey_path: {request.privatekey_path}", request.passphrase)


@contextlib.contextmanager
def _unreadable(force: bool) -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        if not force:
            raise RegistryError(f"{error} Mend or remove it, or set force to make key and certificate anew.") from error


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
    if not certificate and current.following != _following(request, authority):
        certificate_file = (_explain_chain(current.following, _following(request, authority)),)
    return Plan(key, key_file, certificate, certificate_file)


def _following(request: Request, authority: Authority | None) -> tuple[Certificate, ...]:
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
    if not request.ca_path:
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
    found, wanted = certificate.extensions, describe_extensions(wanted_extensions(template, key, authority))
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


def run(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module certificate: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, files that are unreadable or do not fit, or a library that is missing.
    """
    if params["state"] == "absent":
        return _remove([params["path"], params["privatekey_path"]], check_mode=check_mode)
    request = parse_request(params)
    files = _Files(request, params)
    require("cryptography.x509")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    authority = read_authority(request, now)
    if request.ca_path and authority is None and not check_mode:
        raise RegistryError(
            f"ca_path: {request.ca_path} or its key {request.ca_privatekey_path} is not there; make the CA first."
        )
    current = read_current(request)
    plan = explain(current, request, authority, now)
    warnings = _check_lifetime(request, authority, now) if plan.certificate and authority else []
    reasons = plan.reasons + files.explain()
    # A dry run makes no key, and so cannot tell what the certificate for it will be.
    unknown = check_mode and bool(plan.certificate)
    new = current if unknown else _carry_out(current, request, authority, plan, now)
    if not check_mode:
        files.write(plan, new)
    return {
        "changed": bool(reasons),
        "reasons": reasons,
        "diff": {
            "before_header": request.path,
            "after_header": request.path,
            "before": _describe(current),
            "after": _describe_request(request, authority) if unknown else _describe(new),
        },
        **(_predict(request, authority) if unknown else _facts(new, now)),
        **({"warnings": warnings} if warnings else {}),
    }


def _check_lifetime(request: Request, authority: Authority, now: datetime) -> list[str]:
    """Whether the CA lasts long enough for a new certificate; a warning where it shortens that one's life."""
    end, wanted = authority.certificate.not_after, now + timedelta(days=request.template.days)
    days = authority.certificate.days_left(now)
    if end <= now or end - now < timedelta(days=request.renew_before):
        raise RegistryError(
            f"ca_path: {request.ca_path} ends on {isoformat(end)}, so a new certificate would be due for renewal "
            f"at once (renew_before is {request.renew_before}): renew the CA first."
        )
    if end < wanted:
        return [f"{request.path} ends with its CA on {isoformat(end)}, after {days} days, not {request.template.days}."]
    return []


def _carry_out(current: Current, request: Request, authority: Authority | None, plan: Plan, now: datetime) -> Current:
    encrypted = request.passphrase is not None
    key = current.key
    if key is None or plan.key:
        key = generate(request.kind, encrypted=encrypted)
    elif plan.key_file:
        key = replace(key, encrypted=encrypted)
    certificate = current.certificate
    if certificate is None or plan.certificate:
        certificate = issue(request.template, key, authority, now)
    return Current(certificate, _following(request, authority), key)


class _Files:
    """The two files: why their owner and permissions have to change, and how they are written."""

    def __init__(self, request: Request, params: dict[str, Any]) -> None:
        self._request = request
        self._certificate = attributes_from(params)
        try:
            self._key = attributes_from({**params, "mode": params["privatekey_mode"]})
        except RegistryError as error:
            # Owner and group were good a line above, so it can only be about the mode.
            raise RegistryError(f"privatekey_{error}") from error

    def explain(self) -> list[str]:
        reasons = explain_attributes(self._request.privatekey_path, self._key)
        return reasons + explain_attributes(self._request.path, self._certificate)

    def write(self, plan: Plan, new: Current) -> None:
        """The key first: a run killed in between leaves a pair that does not match, which the next one mends."""
        if (plan.key or plan.key_file) and new.key is not None:
            content = dump_key(new.key, self._request.passphrase)
            write_file(self._request.privatekey_path, content, self._key)
        else:
            set_attributes(self._request.privatekey_path, self._key)
        if plan.certificate or plan.certificate_file:
            write_file(self._request.path, _pem(new).encode(), self._certificate)
        else:
            set_attributes(self._request.path, self._certificate)


def _pem(current: Current) -> str:
    own = () if current.certificate is None else (current.certificate,)
    return "".join(certificate.pem for certificate in (*own, *current.following))


def _facts(current: Current, now: datetime) -> dict[str, Any]:
    certificate = current.certificate
    return {} if certificate is None else {"certificate": _pem(current), **certificate_facts(certificate, now)}


def _predict(request: Request, authority: Authority | None) -> dict[str, Any]:
    known = {
        "subject": describe_subject(request.template.subject),
        "issuer": _wanted_issuer(request, authority),
        "names": [name.short for name in request.template.names],
    }
    return {**dict.fromkeys(_FACTS), **known}


def _wanted_issuer(request: Request, authority: Authority | None) -> str | None:
    if authority is not None:
        return authority.certificate.describe()
    return None if request.ca_path else describe_subject(request.template.subject)


def _describe(current: Current) -> str:
    """Facts for a diff: never a key."""
    lines = []
    if current.key is not None:
        lines.append(f"private key: {current.key.kind}{', encrypted' if current.key.encrypted else ''}")
    certificate = current.certificate
    if certificate is not None:
        lines += [
            f"subject: {certificate.describe()}",
            f"issuer: {describe_subject(certificate.issuer)}",
            f"names: {', '.join(name.short for name in certificate.names)}",
            f"valid: {isoformat(certificate.not_before)} to {isoformat(certificate.not_after)}",
            f"fingerprint: {certificate.fingerprint}",
        ]
    lines += [f"followed by: {following.describe()}" for following in current.following]
    return "".join(f"{line}\n" for line in lines)


def _describe_request(request: Request, authority: Authority | None) -> str:
    lines = [
        f"private key: {request.kind}{'' if request.passphrase is None else ', encrypted'}",
        f"subject: {describe_subject(request.template.subject)}",
        f"issuer: {_wanted_issuer(request, authority) or 'a CA that is not there yet'}",
        f"names: {', '.join(name.short for name in request.template.names)}",
        f"valid: {request.template.days} days from then",
        "fingerprint: a new one",
    ]
    lines += [f"followed by: {following.describe()}" for following in _following(request, authority)]
    return "".join(f"{line}\n" for line in lines)


def _remove(paths: list[str], *, check_mode: bool) -> dict[str, Any]:
    there = [path for path in paths if Path(path).exists() or Path(path).is_symlink()]
    if not check_mode:
        for path in there:
            remove_file(path)
    return {
        "changed": bool(there),
        "reasons": [f"{path}: is there, wanted absent" for path in there],
        "diff": {"before": "".join(f"{path}\n" for path in there), "after": ""},
        **dict.fromkeys(_FACTS),
        "names": [],
    }
