# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where certificates are looked at: a file, a text, or a live server. The logic of the module certificate_info."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._address import host_problems, port_problems
from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    Certificate,
    certificate_facts,
    load_certificates,
    load_der,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_problems import (
    Expectations,
    key_matches,
    problems,
)
from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import require
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_text

if TYPE_CHECKING:
    from typing import Any


def run(params: dict[str, Any]) -> dict[str, Any]:
    """The module certificate_info. Returns what the module does.

    :raises RegistryError: the source has no certificate that can be read, or a library is missing.
    """
    require("cryptography.x509")
    certificates = _read_source(params)
    names = params["names"] or ([params["host"]] if params["host"] else [])
    private_key, key_problems = _read_text(params, "privatekey")
    anchor, anchor_problems = _read_text(params, "ca")
    expected = Expectations(private_key, params["privatekey_passphrase"], anchor, tuple(names))
    now = datetime.now(timezone.utc)
    certificate, *chain = certificates
    return {
        "changed": False,
        **_facts(certificate, now),
        "chain": [_facts(entry, now) for entry in chain],
        "key_matches": False if key_problems else key_matches(certificate, expected),
        "problems": problems(certificates, expected, now) + key_problems + anchor_problems,
    }


def _facts(certificate: Certificate, now: datetime) -> dict[str, Any]:
    kind = {"type": certificate.kind.type, "size": certificate.kind.size}
    return {**certificate_facts(certificate, now), "is_ca": certificate.is_ca, "key": kind}


def _read_source(params: dict[str, Any]) -> tuple[Certificate, ...]:
    if params["host"] is not None:
        return fetch(params["host"], params["port"], params["timeout"])
    if params["content"] is not None:
        return load_certificates(params["content"], "content")
    text = read_text(params["path"])
    if text is None:
        raise RegistryError(f"path: {params['path']} is not there.")
    return load_certificates(text, f"path: {params['path']}")


def _read_text(params: dict[str, Any], what: str) -> tuple[str, list[str]]:
    """The content of *what* given as text or as a file, and what is wrong with that."""
    content, path = params[f"{what}_content"], params[f"{what}_path"]
    if content is not None or path is None:
        return content or "", []
    try:
        text = read_text(path)
    except RegistryError as error:
        return "", [str(error)]
    # An empty file is no key; an empty text would not be looked at.
    return ("", [f"{what}_path: {path} is not there."]) if text is None else (text or " ", [])


def fetch(host: str, port: int, timeout: float) -> tuple[Certificate, ...]:
    """The certificates that a TLS server shows, its own first. Nothing is verified, and nothing is sent.

    :raises RegistryError: host or port are none, nobody listens, or what listens does not speak TLS.
    """
    wrong = host_problems(host) + port_problems(port)
    if wrong:
        raise RegistryError(" ".join(wrong))
    context = ssl.create_default_context()
    # It is to be read, not trusted: an expired or foreign certificate is what one wants to look at.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = socket.create_connection((host, port), timeout=timeout)
        with connection, context.wrap_socket(connection, server_hostname=host) as tls:
            shown = _shown_chain(tls)
    except (OSError, ValueError) as error:
        raise RegistryError(f"{host}:{port} shows no certificate: {error}.") from error
    return tuple(load_der(der, f"The certificate of {host}:{port}") for der in shown)


def _shown_chain(tls: ssl.SSLSocket) -> list[bytes]:
    if hasattr(tls, "get_unverified_chain"):
        return list(tls.get_unverified_chain())
    # Python 3.10 to 3.12 have it below the public interface only, 3.9 not at all.
    below: Any = getattr(tls, "_sslobj", None)
    if hasattr(below, "get_unverified_chain"):
        return [ssl.PEM_cert_to_DER_cert(entry.public_bytes()) for entry in below.get_unverified_chain()]
    own = tls.getpeercert(binary_form=True)
    return [] if own is None else [own]
