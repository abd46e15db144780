# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key and its certificate on disk, read and written. The logic of the module certificate.

What is wanted is in _certificate_request, why something has to change in _certificate_plan, and what a certificate is
made of in _certificate, _certificate_names and _private_key.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    CA,
    KEY_USAGE,
    Authority,
    Certificate,
    certificate_facts,
    is_signed_by,
    isoformat,
    issue,
    issue_for_request,
    load_certificates,
    load_request,
    make_request,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import describe_subject
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_plan import (
    Current,
    Plan,
    explain,
    following_certificates,
)
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

NEXT_SUFFIX = ".next"
"""Beside the private key, the one that waits for its certificate from a CA on another host."""

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


def read_authority(request: Request, now: datetime) -> Authority | None:
    """The CA that shall sign, or None where its files are not there (or none is wanted).

    :raises RegistryError: it can't sign: no CA, another's key, not valid yet, or unreadable.
    """
    if request.ca_content:
        authority = Authority(load_certificates(request.ca_content, "ca_content"), None)
        _check_authority(authority.certificate, request, "ca_content", now)
        return authority
    if not request.ca_path:
        return None
    text, key_text = read_text(request.ca_path), read_text(request.ca_privatekey_path)
    if text is None or key_text is None:
        return None
    certificates = load_certificates(text, f"ca_path: {request.ca_path}")
    source = f"ca_privatekey_path: {request.ca_privatekey_path}"
    key = load_key(key_text, source, request.ca_passphrase)
    if key.public != certificates[0].public:
        raise RegistryError(f"{source} is not the key of the certificate in {request.ca_path}.")
    _check_authority(certificates[0], request, f"ca_path: {request.ca_path}", now)
    return Authority(certificates, key)


def _check_authority(certificate: Certificate, request: Request, source: str, now: datetime) -> None:
    if not certificate.is_ca or "key cert sign" not in certificate.extensions.get(KEY_USAGE, "key cert sign"):
        raise RegistryError(f"{source} ({certificate.describe()}) is not a CA's certificate.")
    if certificate.not_before > now:
        raise RegistryError(f"{source} is not valid before {isoformat(certificate.not_before)}; check the clock.")
    if certificate.subject == request.template.subject:
        raise RegistryError("subject is that of the CA: clients would take the certificate for the CA's; change it.")


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


def run(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module certificate: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, files that are unreadable or do not fit, or a library that is missing.
    """
    if params["ca"] is None or params["state"] == "absent":
        return _run_one(params, check_mode=check_mode)
    # Both are checked before either is made.
    if not parse_request(params).ca_path:
        raise RegistryError("ca: there is no place for it; give ca_path and ca_privatekey_path.")
    try:
        authority = _run_one(_ca_params(params), check_mode=check_mode, stays=params.get("ca_stays", False))
    except RegistryError as error:
        raise RegistryError(f"ca: {error}") from error
    signed = _run_one(params, check_mode=check_mode, ca_would_change=check_mode and authority["changed"])
    return {
        **signed,
        "changed": authority["changed"] or signed["changed"],
        "reasons": [f"CA: {reason}" for reason in authority["reasons"]] + signed["reasons"],
        "diff": [authority["diff"], signed["diff"]],
        "ca": {name: authority[name] for name in ("filename", *_FACTS)},
    }


def _ca_params(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a task of its own that makes the CA, whose files belong to whoever runs the module."""
    return {
        **dict.fromkeys(params),
        **params["ca"],
        "path": params["ca_path"],
        "privatekey_path": params["ca_privatekey_path"],
        "privatekey_passphrase": params["ca_privatekey_passphrase"],
        "state": "present",
        "usage": CA,
        "mode": "0644",
        "privatekey_mode": "0600",
    }


def _run_one(
    params: dict[str, Any], *, check_mode: bool, ca_would_change: bool = False, stays: bool = False
) -> dict[str, Any]:
    if params["state"] == "absent":
        key = params["privatekey_path"]
        return _remove([params["path"], key, key + NEXT_SUFFIX], check_mode=check_mode)
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
    if stays:
        _refuse_another(current, request, plan)
    # In check mode the CA lies there as it was, however old.
    signs = authority is not None and bool(plan.certificate) and not ca_would_change
    warnings = _check_lifetime(request, authority, now) if signs and authority else []
    reasons = plan.reasons + files.explain()
    requested = _request_elsewhere(current, request, plan, files, check_mode=check_mode)
    # A dry run makes no key, and so cannot tell what the certificate for it will be; nor can who waits for it.
    unknown = bool(plan.certificate) and (check_mode or bool(requested))
    new = current if unknown else _carry_out(current, request, authority, plan, now)
    if not check_mode and not requested:
        files.write(plan, new)
    return {
        "filename": request.path,
        "changed": bool(reasons),
        "reasons": reasons,
        "diff": {
            "before_header": request.path,
            "after_header": request.path,
            "before": _describe(current),
            "after": _describe_request(request, authority) if unknown else _describe(new),
        },
        **(_predict(request, authority) if unknown else _facts(new, now)),
        "request": requested or None,
        **({"warnings": warnings} if warnings else {}),
    }


def _refuse_another(current: Current, request: Request, plan: Plan) -> None:
    """:raises RegistryError: it would get another key or subject, and so be another one to those who trust it."""
    is_other = current.certificate is None or current.certificate.subject != request.template.subject
    if plan.key or is_other:
        raise RegistryError(
            f"{request.path} would be another one ({'; '.join(plan.reasons)}), and whoever trusts the present one be "
            "cut off. Rotate it by the playbook rotate_ca, or run site.yml."
        )


def _check_lifetime(request: Request, authority: Authority, now: datetime) -> list[str]:
    """Whether the CA lasts long enough for a new certificate; a warning where it shortens that one's life."""
    end, wanted = authority.certificate.not_after, now + timedelta(days=request.template.days)
    days = authority.certificate.days_left(now)
    source = f"ca_path: {request.ca_path}" if request.ca_path else "ca_content"
    if end <= now or end - now < timedelta(days=request.renew_before):
        raise RegistryError(
            f"{source} ends on {isoformat(end)}, so a new certificate would be due for renewal "
            f"at once (renew_before is {request.renew_before}): renew the CA first."
        )
    if end < wanted:
        return [f"{request.path} ends with its CA on {isoformat(end)}, after {days} days, not {request.template.days}."]
    return []


def _carry_out(current: Current, request: Request, authority: Authority | None, plan: Plan, now: datetime) -> Current:
    encrypted = request.passphrase is not None
    key = current.key
    if request.issued and plan.certificate:
        key = key if key is not None and not plan.key else _read_next_key(request)
        return Current(_read_issued(request, key, authority, now), following_certificates(request, authority), key)
    if key is None or plan.key:
        key = generate(request.kind, encrypted=encrypted)
    elif plan.key_file:
        key = replace(key, encrypted=encrypted)
    certificate = current.certificate
    if certificate is None or plan.certificate:
        certificate = issue(request.template, key, authority, now)
    return Current(certificate, following_certificates(request, authority), key)


def _request_elsewhere(current: Current, request: Request, plan: Plan, files: _Files, *, check_mode: bool) -> str:
    """Where a certificate is due and the CA's key is on another host: the request that goes there, else nothing.

    A new key waits beside the present one until its certificate is there.
    """
    if check_mode or not request.ca_content or request.issued or not plan.certificate:
        return ""
    key = None if plan.key else current.key
    if key is None:
        key = _read_next_key(request)
    if key is None or key.kind != request.kind:
        key = generate(request.kind, encrypted=request.passphrase is not None)
        files.write_next_key(key)
    return make_request(request.template, key)


def _next_key_path(request: Request) -> str:
    return request.privatekey_path + NEXT_SUFFIX


def _read_next_key(request: Request) -> PrivateKey | None:
    text = read_text(_next_key_path(request))
    return None if text is None else load_key(text, _next_key_path(request), request.passphrase)


def _read_issued(request: Request, key: PrivateKey | None, authority: Authority | None, now: datetime) -> Certificate:
    certificate = load_certificates(request.issued, "issued_content")[0]
    if key is None or key.public != certificate.public:
        raise RegistryError("issued_content: is not for the key on this host; have the latest request signed.")
    if authority is None or not is_signed_by(certificate, authority.certificate):
        raise RegistryError("issued_content: is not signed by the CA in ca_content.")
    _check_lifetime_of(certificate, request, now)
    return certificate


def _check_lifetime_of(certificate: Certificate, request: Request, now: datetime) -> None:
    if certificate.not_after - now < timedelta(days=request.renew_before):
        raise RegistryError(
            f"issued_content: ends on {isoformat(certificate.not_after)}, so it would be due for renewal at once "
            f"(renew_before is {request.renew_before})."
        )


def sign(params: dict[str, Any]) -> dict[str, Any]:
    """The module certificate_sign: issue a certificate for a request. Returns what the module does.

    :raises RegistryError: wrong parameters, a request that cannot be read, a CA that cannot sign, or a missing library.
    """
    request = parse_request({**params, "path": "(request)", "privatekey_path": "(key)"})
    require("cryptography.x509")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    authority = read_authority(request, now)
    if authority is None:
        raise RegistryError(f"ca_path: {request.ca_path} or its key {request.ca_privatekey_path} is not there.")
    asked = load_request(params["request"], "request")
    warnings = _check_lifetime(request, authority, now)
    certificate = issue_for_request(request.template, asked, authority, now)
    facts = {"changed": False, "certificate": certificate.pem, **certificate_facts(certificate, now)}
    return {**facts, **({"warnings": warnings} if warnings else {})}


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

    def write_next_key(self, key: PrivateKey) -> None:
        write_file(_next_key_path(self._request), dump_key(key, self._request.passphrase), self._key)

    def write(self, plan: Plan, new: Current) -> None:
        """The key first: a run killed in between leaves a pair that does not match, which the next one mends."""
        if (plan.key or plan.key_file) and new.key is not None:
            content = dump_key(new.key, self._request.passphrase)
            write_file(self._request.privatekey_path, content, self._key)
        elif explain_attributes(self._request.privatekey_path, self._key):
            set_attributes(self._request.privatekey_path, self._key)
        if plan.certificate or plan.certificate_file:
            write_file(self._request.path, _pem(new).encode(), self._certificate)
            remove_file(_next_key_path(self._request))
        elif explain_attributes(self._request.path, self._certificate):
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
    return None if request.has_ca else describe_subject(request.template.subject)


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
    lines += [f"followed by: {following.describe()}" for following in following_certificates(request, authority)]
    return "".join(f"{line}\n" for line in lines)


def _remove(paths: list[str], *, check_mode: bool) -> dict[str, Any]:
    there = [path for path in paths if Path(path).exists() or Path(path).is_symlink()]
    if not check_mode:
        for path in there:
            remove_file(path)
    return {
        "filename": paths[0],
        "changed": bool(there),
        "reasons": [f"{path}: is there, wanted absent" for path in there],
        "diff": {"before": "".join(f"{path}\n" for path in there), "after": ""},
        **dict.fromkeys(_FACTS),
        "names": [],
    }
