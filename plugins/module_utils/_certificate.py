# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""X.509 certificates in PEM: read, what they say, whose signature they bear, and how new ones are issued.

Profile: RFC 5280, 4.2. Works with cryptography 38 to 50, without what any of them deprecates.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import (
    Name,
    Subject,
    describe_subject,
    from_general_names,
    from_x509_name,
    to_general_names,
    to_x509_name,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import (
    Kind,
    PrivateKey,
    public_bytes,
    public_kind,
)

# A host without the library is told so by _dependencies.require(), not by a traceback.
with contextlib.suppress(ImportError):
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

SERVER = "server"
CA = "ca"
CLOCK_SKEW = timedelta(hours=1)
"""A new certificate is valid from this long ago, for hosts whose clocks are late."""

BASIC_CONSTRAINTS = "basic constraints"
KEY_USAGE = "key usage"
EXTENDED_KEY_USAGE = "extended key usage"
AUTHORITY_KEY = "authority key identifier"
SUBJECT_KEY = "subject key identifier"
SERVER_AUTHENTICATION = "server authentication"
ANY_PURPOSE = "any purpose"

_PEM = re.compile(r"-----BEGIN (?P<label>(?:X509 )?CERTIFICATE)-----.*?-----END (?P=label)-----", re.DOTALL)
_WEAK_HASHES = ("md2", "md4", "md5", "sha1")
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True)
class Certificate:
    """One certificate and what it says. Times are in UTC. Equal certificates have equal fingerprints."""

    subject: Subject
    issuer: Subject
    names: tuple[Name, ...]
    kind: Kind
    public: bytes = field(repr=False)
    fingerprint: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    extensions: dict[str, str] = field(compare=False)
    x509: x509.Certificate = field(repr=False, compare=False)

    @property
    def pem(self) -> str:
        return self.x509.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def weak_hash(self) -> str:
        """The name of a hash that no signature should be made with any more, or nothing."""
        found = self.x509.signature_hash_algorithm
        return found.name if found is not None and found.name in _WEAK_HASHES else ""

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires, negative once it has."""
        return (self.not_after - now).days

    def describe(self) -> str:
        return describe_subject(self.subject) or "without a subject"


@dataclass(frozen=True)
class Authority:
    """A CA: its certificate, those that may follow it in its file, and its key, unless that is on another host."""

    certificates: tuple[Certificate, ...]
    key: PrivateKey | None

    @property
    def certificate(self) -> Certificate:
        return self.certificates[0]


@dataclass(frozen=True)
class Template:
    """What a new certificate shall say."""

    usage: str
    subject: Subject
    names: tuple[Name, ...]
    days: int


def load_certificates(text: str, source: str) -> tuple[Certificate, ...]:
    """Read all certificates of a PEM text, in its order.

    :raises RegistryError: there is none, or one of them is garbled.
    """
    blocks = [match[0] for match in _PEM.finditer(text)]
    if not blocks:
        raise RegistryError(f"{source} holds no certificate in PEM (-----BEGIN CERTIFICATE-----).")
    return tuple(_load(block, f"{source}: certificate {number}") for number, block in enumerate(blocks, start=1))


def load_der(der: bytes, source: str) -> Certificate:
    """:raises RegistryError: it is garbled."""
    return _explained(lambda: x509.load_der_x509_certificate(der), source)


def _load(pem: str, source: str) -> Certificate:
    return _explained(lambda: x509.load_pem_x509_certificate(pem.encode()), source)


def _explained(load: Callable[[], x509.Certificate], source: str) -> Certificate:
    try:
        return _facts(load())
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise RegistryError(f"{source} cannot be read: {error}") from error


def _facts(certificate: x509.Certificate) -> Certificate:
    key = certificate.public_key()
    serial = f"{certificate.serial_number:x}"
    constraints = _extension(certificate, x509.BasicConstraints)
    alternatives = _extension(certificate, x509.SubjectAlternativeName)
    return Certificate(
        subject=from_x509_name(certificate.subject),
        issuer=from_x509_name(certificate.issuer),
        names=() if alternatives is None else from_general_names(list(alternatives)),
        kind=public_kind(key),
        public=public_bytes(key),
        fingerprint=hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
        serial=serial.zfill(len(serial) + len(serial) % 2),
        not_before=_utc(certificate, "not_valid_before"),
        not_after=_utc(certificate, "not_valid_after"),
        is_ca=constraints is not None and bool(constraints.ca),
        extensions=describe_extensions(certificate.extensions),
        x509=certificate,
    )


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _utc(certificate: x509.Certificate, moment: str) -> datetime:
    # cryptography 42 has aware datetimes under a new name, and deprecates the naive ones.
    if hasattr(certificate, f"{moment}_utc"):
        aware: datetime = getattr(certificate, f"{moment}_utc")
        return aware
    naive: datetime = getattr(certificate, moment)
    return naive.replace(tzinfo=timezone.utc)


def describe_extensions(extensions: Iterable[x509.Extension[Any]]) -> dict[str, str]:
    """The extensions that decide about a certificate's use, in words; the names are not among them."""
    described = {}
    for extension in extensions:
        words, describe = _DESCRIPTIONS.get(type(extension.value).__name__, ("", str))
        if words:
            critical = " (critical)" if extension.critical else ""
            described[words] = f"{describe(extension.value)}{critical}"
    return described


def _describe_usages(value: x509.KeyUsage) -> str:
    return ", ".join(usage.replace("_", " ") for usage in _KEY_USAGES if getattr(value, usage))


def _describe_purposes(value: x509.ExtendedKeyUsage) -> str:
    known = {
        ExtendedKeyUsageOID.SERVER_AUTH: SERVER_AUTHENTICATION,
        ExtendedKeyUsageOID.CLIENT_AUTH: "client authentication",
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: ANY_PURPOSE,
    }
    return ", ".join(sorted(known.get(purpose, purpose.dotted_string) for purpose in value))


_DESCRIPTIONS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "BasicConstraints": (BASIC_CONSTRAINTS, lambda value: "CA" if value.ca else "no CA"),
    "KeyUsage": (KEY_USAGE, _describe_usages),
    "ExtendedKeyUsage": (EXTENDED_KEY_USAGE, _describe_purposes),
    "AuthorityKeyIdentifier": (AUTHORITY_KEY, lambda value: (value.key_identifier or b"").hex()),
    "SubjectKeyIdentifier": (SUBJECT_KEY, lambda value: str(value.digest.hex())),
}


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether *issuer* is whom the certificate names as its issuer, and its signature is by that one's key."""
    return certificate.issuer == issuer.subject and _signature_fits(certificate.x509, issuer.x509.public_key())


def _signature_fits(certificate: x509.Certificate, key: CertificatePublicKeyTypes) -> bool:
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    digest: Any = certificate.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey):
            # Before cryptography 41 nothing but PKCS #1 can be told; RSA-PSS is rare.
            scheme = getattr(certificate, "signature_algorithm_parameters", padding.PKCS1v15())
            key.verify(signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError, AttributeError):
        # A signature of another sort than the key's, for instance, is just none by this key.
        return False
    return True


def wanted_extensions(
    template: Template, public: PublicKeyTypes, authority: Authority | None
) -> list[x509.Extension[x509.ExtensionType]]:
    """What a new certificate for a key needs so that Go and Python's strict verification accept it."""
    is_ca = template.usage == CA
    usages = dict.fromkeys((*_KEY_USAGES, "encipher_only", "decipher_only"), False)
    usages["key_cert_sign"] = usages["crl_sign"] = is_ca
    usages["digital_signature"] = not is_ca
    usages["key_encipherment"] = not is_ca and isinstance(public, rsa.RSAPublicKey)
    own_identifier = x509.SubjectKeyIdentifier.from_public_key(public)  # type: ignore[arg-type]
    extensions: list[x509.Extension[Any]] = [
        _as_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True),
        _as_extension(x509.KeyUsage(**usages), critical=True),
        _as_extension(own_identifier),
    ]
    if not is_ca:
        identifier = own_identifier.digest if authority is None else _key_identifier(authority.certificate)
        extensions += [
            _as_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            _as_extension(x509.AuthorityKeyIdentifier(identifier, None, None)),
            _as_extension(to_general_names(template.names)),
        ]
    return extensions


def _as_extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _key_identifier(certificate: Certificate) -> bytes:
    found = _extension(certificate.x509, x509.SubjectKeyIdentifier)
    if found is None:
        found = x509.SubjectKeyIdentifier.from_public_key(certificate.x509.public_key())
    digest: bytes = found.digest
    return digest


def issue(template: Template, key: PrivateKey, authority: Authority | None, now: datetime) -> Certificate:
    """Sign a new certificate for a key: by an authority, whose own end it does not outlive, or by the key itself."""
    return _sign(template, key.key.public_key(), authority, now, key if authority is None else authority.key)


def issue_for_request(
    template: Template, request: x509.CertificateSigningRequest, authority: Authority, now: datetime
) -> Certificate:
    """Sign a new certificate for the key of a request. What else the request asks for is for *template* to say."""
    return _sign(template, request.public_key(), authority, now, authority.key)


def _sign(
    template: Template, public: PublicKeyTypes, authority: Authority | None, now: datetime, signer: PrivateKey | None
) -> Certificate:
    if signer is None:
        raise RegistryError("The CA's key is not on this host.")
    subject = to_x509_name(template.subject)
    not_before, not_after = now - CLOCK_SKEW, now + timedelta(days=template.days)
    if authority is not None:
        not_before = max(not_before, authority.certificate.not_before)
        not_after = min(not_after, authority.certificate.not_after)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.certificate.x509.subject)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension in wanted_extensions(template, public, authority):
        builder = builder.add_extension(extension.value, extension.critical)
    edwards = isinstance(signer.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return _facts(builder.sign(signer.key, None if edwards else hashes.SHA256()))  # type: ignore[arg-type]


def make_request(template: Template, key: PrivateKey) -> str:
    """A request for a certificate, signed by its key, in PEM (PKCS #10, RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(to_x509_name(template.subject))
    builder = builder.add_extension(to_general_names(template.names), critical=False)
    request = builder.sign(key.key, hashes.SHA256())  # type: ignore[arg-type]
    return request.public_bytes(serialization.Encoding.PEM).decode()


def load_request(text: str, source: str) -> x509.CertificateSigningRequest:
    """Read a request for a certificate in PEM.

    :raises RegistryError: it is garbled, or not signed by the key that it is for.
    """
    try:
        request = x509.load_pem_x509_csr(text.encode())
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RegistryError(f"{source} holds no request for a certificate in PEM: {error}") from error
    if not signed:
        raise RegistryError(f"{source} is not signed by the key that it asks a certificate for.")
    return request


def certificate_facts(certificate: Certificate, now: datetime) -> dict[str, Any]:
    """What a module returns about a certificate."""
    return {
        "fingerprint": certificate.fingerprint,
        "not_before": isoformat(certificate.not_before),
        "not_after": isoformat(certificate.not_after),
        "days_left": certificate.days_left(now),
        "serial": certificate.serial,
        "subject": describe_subject(certificate.subject),
        "issuer": describe_subject(certificate.issuer),
        "names": [name.short for name in certificate.names],
    }


def isoformat(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2026-11-23T12:00:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
