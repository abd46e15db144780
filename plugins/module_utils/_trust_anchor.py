# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust anchors: certificates that a registry's is verified with, read with the standard library only."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator, Sequence

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_LONG_FORM, _VERSION_TAG = 0x80, 0xA0


def parse_anchor(text: str, parameter: str = "ca_certificate") -> tuple[bytes, ...]:
    """The certificates in a PEM text, as DER; none in an empty one.

    :raises RegistryError: it holds no certificate, a broken one, or a private key, which is never shown.
    """
    if not text.strip():
        return ()
    if "PRIVATE KEY-----" in text:
        raise RegistryError(
            f"{parameter}: it holds a private key, which must not leave the host that made it. "
            "Give the certificate alone, the part from BEGIN CERTIFICATE to END CERTIFICATE."
        )
    blocks = _CERTIFICATE.findall(text)
    if not blocks:
        raise RegistryError(
            f"{parameter}: it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----."
        )
    return tuple(_parse_certificate(position, block, parameter) for position, block in enumerate(blocks, start=1))


def _parse_certificate(position: int, block: str, parameter: str) -> bytes:
    try:
        der = ssl.PEM_cert_to_DER_cert(block)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError) as error:
        raise RegistryError(
            f"{parameter}: certificate {position} in it cannot be read; give it whole, as its file has it."
        ) from error
    return der


def check_anchor(anchor: Sequence[bytes], parameter: str = "ca_certificate") -> None:
    """Refuse what could not have signed the registry's certificate, nor is one that signed itself.

    :raises RegistryError: which certificate it is.
    """
    for position, der in enumerate(anchor, start=1):
        if not _may_sign(der) and not _is_self_issued(der):
            raise RegistryError(
                f"{parameter}: certificate {position} in it is no CA's: it could not have signed the registry's. "
                "Give the certificate of the CA that did, not the registry's own."
            )


def _may_sign(der: bytes) -> bool:
    """Whether OpenSSL takes it for a CA's (X509_check_ca): by basicConstraints or keyUsage, or of version 1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=der)
    return context.cert_store_stats()["x509_ca"] > 0


def _is_self_issued(der: bytes) -> bool:
    """Whether subject and issuer are the same bytes (RFC 5280, 4.1: TBSCertificate)."""
    _tag, certificate = next(_elements(der))
    _tag, to_be_signed = next(_elements(certificate))
    fields = list(_elements(to_be_signed))
    version = 1 if fields[0][0] == _VERSION_TAG else 0
    # After the version: serial number, algorithm, issuer, validity, subject.
    return fields[version + 2] == fields[version + 4]


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of the elements that follow each other in DER (X.690, 8.1)."""
    position = 0
    while position < len(der):
        tag, length, position = der[position], der[position + 1], position + 2
        if length & _LONG_FORM:
            size = length & ~_LONG_FORM
            length, position = int.from_bytes(der[position : position + size], "big"), position + size
        yield tag, der[position : position + length]
        position += length


def render_anchor(anchor: Sequence[bytes]) -> bytes:
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in anchor).encode("ascii")


def read_anchor(content: bytes) -> tuple[bytes, ...]:
    """The certificates that a file holds; none where it is not one of certificates."""
    try:
        return parse_anchor(content.decode("ascii", "replace"))
    except RegistryError:
        return ()


def fingerprints(content: bytes) -> list[str]:
    """What a diff shows of certificates."""
    return [f"SHA-256 {hashlib.sha256(der).hexdigest()}" for der in read_anchor(content)] or ["no certificate"]
