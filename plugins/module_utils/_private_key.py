# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys in PEM: what kinds there are, made, read, and written as PKCS#8."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

# A host without the library is told so by _dependencies.require(), not by a traceback.
with contextlib.suppress(ImportError):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from typing import Union

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    SigningKey = Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]

ECDSA = "ecdsa"
RSA = "rsa"
DEFAULT_SIZES = {ECDSA: 256, RSA: 4096}

_CURVES = {256: "SECP256R1", 384: "SECP384R1", 521: "SECP521R1"}
_RSA_SIZES = range(2048, 8193)
_PASSPHRASE_BYTES = 1023
_PEM = re.compile(r"-----BEGIN (?P<label>[A-Z ]*PRIVATE KEY)-----.*?-----END (?P=label)-----", re.DOTALL)


@dataclass(frozen=True)
class Kind:
    """What sort of key it is. Size in bits; for ECDSA that of the curve."""

    type: str
    size: int

    def __str__(self) -> str:
        return f"{self.type} {self.size}"


@dataclass(frozen=True)
class PrivateKey:
    """A private key that was read or made, and whether its PEM is (or shall be) encrypted."""

    key: PrivateKeyTypes = field(repr=False)
    encrypted: bool = False

    @property
    def kind(self) -> Kind:
        return public_kind(self.key.public_key())

    @property
    def public(self) -> bytes:
        return public_bytes(self.key.public_key())


def parse_kind(key_type: object, size: object) -> Kind:
    """Read the parameters ``key_type`` and ``key_size``.

    :raises RegistryError: a type that there is not, or a size that is too small, too large or no curve's.
    """
    if str(key_type) not in DEFAULT_SIZES:
        raise RegistryError(f"key_type: '{key_type}' is neither {ECDSA} nor {RSA}.")
    bits = DEFAULT_SIZES[str(key_type)] if size is None else size
    if key_type == ECDSA and bits not in _CURVES:
        raise RegistryError(f"key_size: {bits} is not the size of a curve for {ECDSA}; give 256, 384 or 521.")
    if key_type == RSA and bits not in _RSA_SIZES:
        raise RegistryError(f"key_size: {bits} is not good for {RSA}; give {_RSA_SIZES[0]} to {_RSA_SIZES[-1]}.")
    return Kind(str(key_type), int(str(bits)))


def check_passphrase(parameter: str, passphrase: object) -> None:
    """:raises RegistryError: a passphrase that can't encrypt anything; it is not in the message."""
    if passphrase is not None and not isinstance(passphrase, str):
        raise RegistryError(f"{parameter} is not a text; put it in quotes.")
    if passphrase is not None and not 1 <= len(passphrase.encode()) <= _PASSPHRASE_BYTES:
        raise RegistryError(f"{parameter} is empty or over {_PASSPHRASE_BYTES} bytes; change it or leave it out.")


def generate(kind: Kind, *, encrypted: bool = False) -> PrivateKey:
    if kind.type == RSA:
        return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=kind.size), encrypted)
    return PrivateKey(ec.generate_private_key(getattr(ec, _CURVES[kind.size])()), encrypted)


def load_key(text: str, source: str, passphrase: str | None = None) -> PrivateKey:
    """Read the first private key of a PEM text. A passphrase is not used where the key is not encrypted.

    :raises RegistryError: there is none, it is garbled, or the passphrase is missing or wrong. Nothing of it is shown.
    """
    match = _PEM.search(text)
    if match is None:
        raise RegistryError(f"{source} holds no private key in PEM (-----BEGIN PRIVATE KEY-----).")
    encrypted = "ENCRYPTED" in match[0]
    if encrypted and not passphrase:
        raise RegistryError(f"{source}: the private key is encrypted; give its passphrase.")
    secret = passphrase.encode() if encrypted and passphrase else None
    try:
        return PrivateKey(serialization.load_pem_private_key(match[0].encode(), secret), encrypted)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own message may quote what it read.
        cause = "the passphrase is wrong, or it is garbled" if encrypted else "it is garbled"
        raise RegistryError(f"{source}: the private key cannot be read: {cause}.") from error


def dump_key(key: PrivateKey, passphrase: str | None) -> bytes:
    """As PKCS#8 in PEM, encrypted where there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def public_bytes(key: PublicKeyTypes) -> bytes:
    """SubjectPublicKeyInfo in DER: equal for equal keys."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_kind(key: PublicKeyTypes) -> Kind:
    size = int(getattr(key, "key_size", 256))
    if isinstance(key, rsa.RSAPublicKey):
        return Kind(RSA, size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = {name.lower() for name in _CURVES.values()}
        return Kind(ECDSA if key.curve.name in known else key.curve.name, size)
    return Kind(type(key).__name__.lstrip("_").replace("PublicKey", "").lower(), size)
