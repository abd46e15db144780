# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.filter.certificate_problems import certificate_problems
from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    Authority,
    Certificate,
    Template,
    issue,
    load_certificates,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import parse_names
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_problems import (
    Expectations,
    key_matches,
    problems,
)
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import (
    Kind,
    PrivateKey,
    dump_key,
    generate,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime.now(timezone.utc).replace(microsecond=0)
SECRET = "correct horse battery"
CA_SUBJECT = (("CN", "Registry CA"),)


@cache
def key(name: str = "server") -> PrivateKey:
    assert name
    return generate(Kind("ecdsa", 256))


@cache
def authority(name: str = "ca", days: int = 3650) -> Authority:
    return Authority((issue(Template("ca", CA_SUBJECT, (), days), key(name), None, NOW),), key(name))


def server(signer: Authority | None = None, *names: str, days: int = 397) -> Certificate:
    wanted = parse_names(list(names or ("registry.lab", "10.0.0.1")))
    return issue(Template("server", (("CN", "registry.lab"),), wanted, days), key(), signer, NOW)


def intermediate(root: Authority) -> Authority:
    """A CA that a root signed, which the module itself does not make."""
    own = key("intermediate")
    assert root.key is not None
    signing: Any = root.key.key
    built = (
        _builder(own, "Intermediate CA")
        .issuer_name(root.certificate.x509.subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(signing, hashes.SHA256())
    )
    return Authority((_load(built),), own)


def plain(*extensions: x509.ExtensionType, own: PrivateKey | None = None) -> Certificate:
    own = own or key()
    signing: Any = own.key
    builder = _builder(own, "registry.lab").issuer_name(_name("registry.lab"))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return _load(builder.sign(signing, hashes.SHA256()))


def _builder(own: PrivateKey, name: str) -> x509.CertificateBuilder:
    public: Any = own.key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=100))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _load(built: x509.Certificate) -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding

    return load_certificates(built.public_bytes(Encoding.PEM).decode(), "test")[0]


def found(*certificates: Certificate, now: datetime = NOW, **expected: Any) -> list[str]:
    return problems(certificates, Expectations(**expected), now)


class TestWell:
    def test_self_signed_is_its_own_anchor(self) -> None:
        made = server()
        assert found(made, anchor=made.pem, names=("registry.lab", "10.0.0.1")) == []

    def test_signed_by_the_anchor(self) -> None:
        pem = dump_key(key(), None).decode()
        assert found(server(authority()), anchor=authority().certificate.pem, private_key=pem) == []

    def test_over_an_intermediate(self) -> None:
        middle = intermediate(authority())
        made = server(middle)
        assert found(made, middle.certificate, anchor=authority().certificate.pem) == []
        assert found(made, middle.certificate, authority().certificate, anchor=authority().certificate.pem) == []

    def test_one_of_several_anchors(self) -> None:
        anchors = authority("other").certificate.pem + authority().certificate.pem
        assert found(server(authority()), anchor=anchors) == []

    def test_ca_itself(self) -> None:
        assert found(authority().certificate) == []

    def test_wildcard(self) -> None:
        assert found(server(None, "*.lab"), names=("registry.lab",)) == []

    def test_encrypted_key(self) -> None:
        pem = dump_key(key(), SECRET).decode()
        assert found(server(), private_key=pem, passphrase=SECRET) == []


class TestProblems:
    def test_expired(self) -> None:
        now = NOW + timedelta(days=398)
        assert [text[:26] for text in found(server(), now=now)] == ["The certificate expired on"]

    def test_not_valid_yet(self) -> None:
        assert "is not valid before" in found(server(), now=NOW - timedelta(days=1))[0]

    def test_no_names(self) -> None:
        assert found(plain()) == [
            "The certificate has no subject alternative name: Docker refuses it, whatever its CN."
        ]

    def test_no_name_that_counts(self) -> None:
        made = plain(x509.SubjectAlternativeName([x509.RFC822Name("a@b.c")]))
        assert "no subject alternative name" in found(made)[0]

    def test_name_not_covered(self) -> None:
        assert found(server(), names=("other.lab",)) == [
            "The certificate does not cover other.lab; its names are: registry.lab, 10.0.0.1."
        ]

    def test_address_as_a_dns_name(self) -> None:
        made = plain(x509.SubjectAlternativeName([x509.DNSName("10.0.0.9")]))
        assert found(made, names=("10.0.0.9",)) == [
            "The certificate has the address 10.0.0.9 as a DNS name; clients look for it among the addresses."
        ]

    def test_expected_name_that_is_none(self) -> None:
        assert found(server(), names=("http://x",))[0].startswith("names: 'http://x'")

    def test_ca_used_as_a_server(self) -> None:
        texts = found(authority().certificate, names=("registry.lab",))
        assert len(texts) == 3
        assert "may not sign handshakes" in texts[1]

    def test_not_for_servers(self) -> None:
        san = x509.SubjectAlternativeName([x509.DNSName("registry.lab")])
        made = plain(san, x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]))
        assert found(made) == [
            "The certificate is not for TLS servers: its extended key usage is client authentication."
        ]

    def test_short_rsa_key(self) -> None:
        san = x509.SubjectAlternativeName([x509.DNSName("registry.lab")])
        from cryptography.hazmat.primitives.asymmetric import rsa

        own = PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=1024))
        assert found(plain(san, own=own)) == ["The certificate's key has 1024 bits only; RSA needs 2048."]

    def test_other_key(self) -> None:
        pem = dump_key(key("other"), None).decode()
        assert found(server(), private_key=pem) == [
            "The private key (ecdsa 256) does not match the certificate (ecdsa 256)."
        ]

    @pytest.mark.parametrize("passphrase", [None, "wrong"])
    def test_key_that_cannot_be_read(self, passphrase: str | None) -> None:
        pem = dump_key(key(), SECRET).decode()
        texts = found(server(), private_key=pem, passphrase=passphrase)
        assert len(texts) == 1
        assert "passphrase" in texts[0]
        assert SECRET not in texts[0]
        assert pem.splitlines()[1] not in texts[0]

    def test_chain_out_of_order(self) -> None:
        middle = intermediate(authority())
        texts = found(server(middle), authority().certificate, middle.certificate)
        assert len(texts) == 2
        assert texts[0].startswith("The chain is out of order: below CN=registry.lab stands CN=Registry CA")

    def test_chain_expired(self) -> None:
        short = authority("short", days=10)
        # Made by hand, since the module lets no certificate outlive its CA.
        made = found(server(), short.certificate, now=NOW + timedelta(days=11))
        assert any(text.startswith("The chain's certificate CN=Registry CA expired on") for text in made)

    def test_other_anchor_with_the_same_name(self) -> None:
        assert found(server(authority()), anchor=authority("other").certificate.pem) == [
            "The certificate does not lead to the trust anchor (CN=Registry CA); its issuer is CN=Registry CA."
        ]

    def test_intermediate_missing(self) -> None:
        texts = found(server(intermediate(authority())), anchor=authority().certificate.pem)
        assert texts == [
            "The certificate does not lead to the trust anchor (CN=Registry CA); its issuer is CN=Intermediate CA."
        ]

    def test_anchor_expired(self) -> None:
        short = authority("short", days=10)
        texts = found(server(short), anchor=short.certificate.pem, now=NOW + timedelta(days=11))
        assert [text.split(" expired")[0] for text in texts] == [
            "The certificate",
            "The trust anchor CN=Registry CA",
        ]

    def test_anchor_that_is_no_ca(self) -> None:
        signer = Authority((server(None, "ca.lab"),), key())
        made = issue(Template("server", (("CN", "a"),), parse_names(["a.lab"]), 10), key("a"), signer, NOW)
        assert found(made, anchor=signer.certificate.pem) == [
            "The trust anchor CN=registry.lab is not a CA's certificate."
        ]

    def test_anchor_that_is_no_certificate(self) -> None:
        assert found(server(), anchor="nothing")[0].startswith("The text for the trust anchor holds no certificate")


class TestKeyMatches:
    def test_each_answer(self) -> None:
        made = server()
        assert key_matches(made, Expectations()) is None
        assert key_matches(made, Expectations(dump_key(key(), None).decode())) is True
        assert key_matches(made, Expectations(dump_key(key("other"), None).decode())) is False
        assert key_matches(made, Expectations(dump_key(key(), SECRET).decode())) is False


class TestFilter:
    def test_nothing_wrong(self) -> None:
        made, pem = server(authority()), dump_key(key(), SECRET).decode()
        anchor = authority().certificate.pem
        assert certificate_problems(made.pem, pem, SECRET, anchor, ["registry.lab"]) == []
        # What a role passes on when a variable was left empty.
        assert certificate_problems(made.pem, private_key="", ca="", names=[]) == []

    @pytest.mark.parametrize("text", [None, "", 3, ["a"], "nothing", "-----BEGIN CERTIFICATE-----"])
    def test_no_certificate(self, text: object) -> None:
        assert certificate_problems(text) == ["The text holds no certificate in PEM (-----BEGIN CERTIFICATE-----)."]

    def test_key_given_for_the_certificate_is_not_shown(self) -> None:
        pem = dump_key(key(), None).decode()
        texts = certificate_problems(pem, private_key=server().pem)
        assert len(texts) == 1
        assert pem.splitlines()[1] not in texts[0]

    @given(st.text(), st.text(), st.text())
    def test_anything_gives_sentences(self, body: str, private_key: str, ca: str) -> None:
        wrapped = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
        assert len(certificate_problems(wrapped, private_key, None, ca)) == 1
        texts = certificate_problems(server().pem, private_key, None, ca)
        assert len(texts) == bool(private_key) + bool(ca)
