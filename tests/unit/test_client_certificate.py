# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's certificate and key: which belong together; a registry judges them in tests/modules."""

from __future__ import annotations

import datetime
import os
from typing import Union

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Key = Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]


def pem(key: Key, passphrase: bytes = b"") -> str:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def certificate(key: Key) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


FIRST, SECOND = (ec.generate_private_key(ec.SECP256R1()) for _number in range(2))
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("key", [FIRST, RSA])
def test_a_pair(key: Key) -> None:
    check_client_pair(certificate(key), pem(key))
    check_client_pair(f"# größe\n{certificate(key).strip()}", pem(key).strip())
    check_client_pair(certificate(key) + certificate(SECOND), pem(key))


@pytest.mark.parametrize(
    ("chain", "key", "told"),
    [
        (certificate(FIRST), pem(SECOND), "client_key: it is not the key of client_certificate."),
        (certificate(FIRST), pem(RSA), "client_key: it is not the key of client_certificate."),
        (certificate(SECOND) + certificate(FIRST), pem(FIRST), "client_key: it is not the key of"),
        (certificate(SECOND), pem(FIRST) + certificate(FIRST), "client_key: it is not the key of"),
        (certificate(FIRST), pem(FIRST, b"secret"), "client_key: it is encrypted"),
        (certificate(FIRST), pem(FIRST)[:80], "client_key: it is no private key in PEM"),
        (certificate(FIRST), "client.key", "client_key: it is no private key in PEM"),
        (certificate(FIRST), certificate(FIRST), "client_key: it is no private key in PEM"),
        ("client.crt", pem(FIRST), "client_certificate: it holds no certificate"),
        (pem(FIRST), certificate(FIRST), "client_certificate: it holds a private key"),
        (certificate(FIRST), " \n", "client_certificate and client_key: give both or none"),
        ("", pem(FIRST), "client_certificate and client_key: give both or none"),
    ],
    ids=lambda text: text[:40].strip(),
)
def test_what_is_wrong_is_told_without_the_key(chain: str, key: str, told: str) -> None:
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(RegistryError) as error:
        check_client_pair(chain, key)
    assert str(error.value).startswith(told)
    assert pem(FIRST).splitlines()[1] not in str(error.value)
    assert os.listdir("/proc/self/fd") == descriptors
