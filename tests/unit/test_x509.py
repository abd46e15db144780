# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    Authority,
    Certificate,
    Template,
    certificate_facts,
    is_signed_by,
    issue,
    load_certificates,
    load_der,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import parse_names
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_request import parse_request
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import (
    Kind,
    PrivateKey,
    dump_key,
    generate,
    load_key,
    public_kind,
)
from ansible_collections.stronghold.registry.plugins.module_utils._x509 import Current, explain
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)
SECRET = "correct horse battery"
CA_TEMPLATE = Template("ca", (("CN", "Registry CA"), ("O", "Example")), (), 3650)
PARAMS: dict[str, Any] = {"path": "/c/s.crt", "privatekey_path": "/c/s.key", "names": ["registry.lab", "10.0.0.1"]}
SIGNED = {**PARAMS, "ca_path": "/c/ca.crt", "ca_privatekey_path": "/c/ca.key"}


@cache
def key(name: str = "server", kind: str = "ecdsa", size: int = 256) -> PrivateKey:
    """A key that is the same for the same arguments."""
    assert name
    return generate(Kind(kind, size))


@cache
def authority(name: str = "ca", kind: str = "ecdsa", size: int = 256, days: int = 3650) -> Authority:
    own = key(name, kind, size)
    return Authority((issue(replace(CA_TEMPLATE, days=days), own, None, NOW),), own)


def server(signer: Authority | None = None, own: PrivateKey | None = None, **params: Any) -> Certificate:
    return issue(parse_request({**PARAMS, **params}).template, own or key(), signer, NOW)


def reasons(current: Current, signer: Authority | None = None, now: datetime = NOW, **params: Any) -> list[str]:
    request = parse_request({**(PARAMS if signer is None else SIGNED), **params})
    return explain(current, request, signer, now).reasons


class TestKey:
    @pytest.mark.parametrize(
        ("kind", "size"), [("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048), ("rsa", 3072)]
    )
    @pytest.mark.parametrize("passphrase", [None, SECRET, "ünïcode"])
    def test_written_and_read(self, kind: str, size: int, passphrase: str | None) -> None:
        made = key("server", kind, size)
        pem = dump_key(made, passphrase).decode()
        assert pem.startswith(f"-----BEGIN {'ENCRYPTED ' if passphrase else ''}PRIVATE KEY-----")
        read = load_key(pem, "file", passphrase)
        assert (read.kind, read.public, read.encrypted) == (Kind(kind, size), made.public, bool(passphrase))

    def test_passphrase_is_not_needed(self) -> None:
        assert not load_key(dump_key(key(), None).decode(), "file", SECRET).encrypted

    @pytest.mark.parametrize(("kind", "label"), [("ecdsa", "EC PRIVATE KEY"), ("rsa", "RSA PRIVATE KEY")])
    @pytest.mark.parametrize("passphrase", [None, SECRET])
    def test_traditional_forms(self, kind: str, label: str, passphrase: str | None) -> None:
        made = key("server", kind, 256 if kind == "ecdsa" else 2048)
        encryption: Any = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        pem = made.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption
        ).decode()
        assert label in pem
        # openssl ecparam -genkey writes the curve above the key.
        read = load_key(
            f"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{pem}", "f", passphrase
        )
        assert (read.public, read.encrypted) == (made.public, bool(passphrase))

    @pytest.mark.parametrize("given", [None, "", "wrong"])
    def test_passphrase_missing_or_wrong(self, given: str | None) -> None:
        pem = dump_key(key(), SECRET).decode()
        with pytest.raises(RegistryError, match="file: the private key") as raised:
            load_key(pem, "file", given)
        assert ("encrypted; give its passphrase" in str(raised.value)) is not bool(given)
        assert ("the passphrase is wrong" in str(raised.value)) is bool(given)
        assert pem.splitlines()[1] not in str(raised.value)

    @pytest.mark.parametrize(
        "text",
        ["", "nothing", "-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"],
    )
    def test_none_there(self, text: str) -> None:
        with pytest.raises(RegistryError, match="file holds no private key"):
            load_key(text, "file")

    def test_garbled(self) -> None:
        lines = dump_key(key(), None).decode().splitlines()
        garbled = "\n".join([lines[0], lines[1][::-1], *lines[2:]])
        with pytest.raises(RegistryError, match="garbled") as raised:
            load_key(garbled, "file")
        assert lines[1] not in str(raised.value)
        assert lines[1][::-1] not in str(raised.value)

    def test_other_kinds_have_their_names(self) -> None:
        assert str(public_kind(ed25519.Ed25519PrivateKey.generate().public_key())) == "ed25519 256"
        assert str(public_kind(ec.generate_private_key(ec.SECP256K1()).public_key())) == "secp256k1 256"

    def test_key_is_not_in_its_representation(self) -> None:
        assert "0x" not in repr(key())
        assert "Private" not in repr(key()).replace("PrivateKey(", "")


class TestIssue:
    def test_self_signed_server(self) -> None:
        made = server()
        assert is_signed_by(made, made)
        assert not made.is_ca
        assert made.extensions["basic constraints"] == "no CA (critical)"
        assert made.extensions["key usage"] == "digital signature (critical)"
        assert made.extensions["extended key usage"] == "server authentication"
        assert made.extensions["authority key identifier"] == made.extensions["subject key identifier"]
        assert made.names == parse_names(["registry.lab", "10.0.0.1"])

    def test_rsa_server_enciphers_keys(self) -> None:
        made = server(own=key("server", "rsa", 2048))
        assert made.extensions["key usage"] == "digital signature, key encipherment (critical)"

    def test_ca(self) -> None:
        made = authority().certificate
        assert made.is_ca
        assert is_signed_by(made, made)
        assert made.extensions["basic constraints"] == "CA (critical)"
        assert made.extensions["key usage"] == "key cert sign, crl sign (critical)"
        assert set(made.extensions) == {"basic constraints", "key usage", "subject key identifier"}

    @pytest.mark.parametrize(("kind", "size"), [("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048)])
    def test_signed_by_ca_of_any_kind(self, kind: str, size: int) -> None:
        signer = authority("ca", kind, size)
        made = server(signer)
        assert is_signed_by(made, signer.certificate)
        assert not is_signed_by(made, made)
        assert not is_signed_by(made, authority("another", kind, size).certificate)
        assert made.x509.signature_hash_algorithm is not None
        assert made.x509.signature_hash_algorithm.name == "sha256"
        ski = signer.certificate.extensions["subject key identifier"]
        assert made.extensions["authority key identifier"] == ski

    def test_same_name_with_another_kind_of_key_did_not_sign(self) -> None:
        made = server(authority())
        assert not is_signed_by(made, authority("ca", "rsa", 2048).certificate)
        assert not is_signed_by(server(authority("ca", "rsa", 2048)), authority().certificate)

    def test_signed_by_a_ca_with_an_edwards_key(self) -> None:
        own = PrivateKey(ed25519.Ed25519PrivateKey.generate())
        signer = Authority((issue(CA_TEMPLATE, own, None, NOW),), own)
        made = server(signer)
        assert is_signed_by(made, signer.certificate)
        assert made.weak_hash == ""

    def test_validity(self) -> None:
        made = server(days=90)
        assert made.not_before == NOW - timedelta(hours=1)
        assert made.not_after == NOW + timedelta(days=90)
        assert made.days_left(NOW) == 90
        assert made.days_left(NOW + timedelta(days=91)) == -1

    def test_never_outlives_its_ca_nor_begins_before_it(self) -> None:
        signer = authority("ca", days=100)
        made = server(signer)
        assert made.not_after == signer.certificate.not_after
        assert made.not_before == signer.certificate.not_before

    def test_serials_are_random(self) -> None:
        serials = {server().serial for _number in range(5)}
        assert len(serials) == 5
        assert all(len(serial) % 2 == 0 and len(serial) > 30 for serial in serials)

    def test_facts(self) -> None:
        made = server(subject={"C": "DE", "CN": "registry.lab"}, days=90)
        facts = certificate_facts(made, NOW)
        assert facts["subject"] == facts["issuer"] == "C=DE, CN=registry.lab"
        assert facts["names"] == ["registry.lab", "10.0.0.1"]
        assert (facts["not_before"], facts["not_after"]) == ("2026-11-23T11:00:00Z", "2027-02-21T12:00:00Z")
        assert facts["fingerprint"] == made.x509.fingerprint(hashes.SHA256()).hex()
        assert int(facts["serial"], 16) == made.x509.serial_number


class TestLoad:
    def test_all_in_order_with_text_between(self) -> None:
        signer = authority()
        made = server(signer)
        text = f"subject=registry\n{made.pem}\nissuer=ca\n{signer.certificate.pem}trailing"
        assert load_certificates(text, "file") == (made, signer.certificate)

    def test_der(self) -> None:
        made = server()
        assert load_der(made.x509.public_bytes(serialization.Encoding.DER), "host") == made

    @pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"])
    def test_none_there(self, text: str) -> None:
        with pytest.raises(RegistryError, match="file holds no certificate in PEM"):
            load_certificates(text, "file")

    @pytest.mark.parametrize("body", ["AAAA", "!!!!", ""])
    def test_garbled(self, body: str) -> None:
        text = f"{server().pem}-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
        with pytest.raises(RegistryError, match="file: certificate 2 cannot be read"):
            load_certificates(text, "file")

    def test_garbled_der(self) -> None:
        with pytest.raises(RegistryError, match="host cannot be read"):
            load_der(b"\x30\x03\x02\x01\x01", "host")


class TestExplain:
    def test_nothing_to_do(self) -> None:
        assert reasons(Current(server(), (), key())) == []
        assert reasons(Current(server(authority()), (), key()), authority()) == []

    def test_nothing_there(self) -> None:
        assert reasons(Current()) == ["/c/s.key: is not there", "/c/s.crt: is not there"]

    def test_key_is_kept_when_the_certificate_is_missing(self) -> None:
        plan = explain(Current(None, (), key()), parse_request(PARAMS), None, NOW)
        assert plan.key == ()
        assert plan.certificate == ("/c/s.crt: is not there",)

    def test_key_missing_brings_a_new_certificate(self) -> None:
        plan = explain(Current(server(), (), None), parse_request(PARAMS), None, NOW)
        assert plan.key == ("/c/s.key: is not there",)
        assert plan.certificate == ("certificate is for the former private key",)

    @pytest.mark.parametrize(
        ("kind", "size", "reason"),
        [
            ("ecdsa", 384, "private key is ecdsa 256, wanted ecdsa 384"),
            ("rsa", 2048, "private key is ecdsa 256, wanted rsa 2048"),
        ],
    )
    def test_another_kind_of_key(self, kind: str, size: int, reason: str) -> None:
        found = reasons(Current(server(), (), key()), key_type=kind, key_size=size)
        assert found == [reason, "certificate is for the former private key"]

    def test_key_of_another_certificate(self) -> None:
        assert reasons(Current(server(), (), key("other"))) == ["private key does not match the certificate"]

    def test_names(self) -> None:
        found = reasons(Current(server(), (), key()), names=["registry.lab", "new.lab", "::1"])
        # The subject follows the first name, which is the same.
        assert found == ["SAN lacks DNS:new.lab", "SAN lacks IP:::1", "SAN has IP:10.0.0.1, not wanted"]

    def test_order_and_case_of_names_mean_nothing(self) -> None:
        current = Current(server(subject={"CN": "a"}), (), key())
        assert reasons(current, subject={"CN": "a"}, names=["IP:10.0.0.1", "REGISTRY.lab", "registry.lab"]) == []

    def test_subject(self) -> None:
        found = reasons(Current(server(), (), key()), subject={"O": "Example", "CN": "registry.lab"})
        assert found == ["subject is CN=registry.lab, wanted O=Example, CN=registry.lab"]

    def test_lifetime_alone_is_no_reason(self) -> None:
        assert reasons(Current(server(), (), key()), days=90) == []

    @pytest.mark.parametrize(
        ("days", "reason"),
        [
            (366, ""),
            (367, ""),
            (368, "expires in 29 days, renewal is due 30 days before"),
            (396, "expires in 1 days, renewal is due 30 days before"),
            (397, "expired on 2027-12-25T12:00:00Z"),
            (500, "expired on 2027-12-25T12:00:00Z"),
            (-1, "not valid before 2026-11-23T11:00:00Z"),
        ],
    )
    def test_validity(self, days: int, reason: str) -> None:
        now = NOW + timedelta(days=days)
        assert reasons(Current(server(), (), key()), now=now) == ([reason] if reason else [])

    def test_renewal_window_of_nothing(self) -> None:
        now = NOW + timedelta(days=396, hours=23)
        assert reasons(Current(server(), (), key()), now=now, renew_before=0) == []

    def test_self_signed_and_wanted_of_a_ca(self) -> None:
        found = reasons(Current(server(), (), key()), authority())
        assert found == ["issuer is CN=registry.lab, wanted CN=Registry CA, O=Example"]

    def test_of_a_ca_and_wanted_self_signed(self) -> None:
        found = reasons(Current(server(authority()), (), key()))
        assert found == ["issuer is CN=Registry CA, O=Example, wanted self-signed"]

    def test_ca_with_the_same_name_and_another_key(self) -> None:
        found = reasons(Current(server(authority()), (), key()), authority("new"))
        assert found == ["certificate is not signed by the present key of CN=Registry CA, O=Example"]

    def test_ca_renewed_with_the_same_key_is_no_reason(self) -> None:
        renewed = authority("ca", days=4000)
        assert renewed.certificate != authority().certificate
        assert reasons(Current(server(authority()), (), key()), renewed) == []

    def test_ca_that_is_not_there_yet(self) -> None:
        request = parse_request(SIGNED)
        plan = explain(Current(server(), (), key()), request, None, NOW)
        assert plan.reasons == ["the CA is not there yet"]

    def test_server_certificate_where_a_ca_is_wanted(self) -> None:
        made = server(subject={"CN": "CA"})
        request = parse_request({"path": "/c", "privatekey_path": "/k", "usage": "ca", "subject": {"CN": "CA"}})
        found = explain(Current(made, (), key()), request, None, NOW).reasons
        assert "basic constraints is no CA (critical), wanted CA (critical)" in found
        assert "extended key usage is server authentication, wanted absent" in found

    def test_ca_where_a_server_certificate_is_wanted(self) -> None:
        template = Template("ca", (("CN", "registry.lab"),), (), 397)
        found = reasons(Current(issue(template, key(), None, NOW), (), key()))
        assert found == ["SAN lacks DNS:registry.lab", "SAN lacks IP:10.0.0.1"]

    def test_certificate_as_openssl_makes_it_by_default_is_no_ca_profile(self) -> None:
        current = Current(_bare(ca=True, names=True), (), key())
        assert reasons(current) == [
            "authority key identifier is absent, wanted " + server().extensions["subject key identifier"],
            "basic constraints is CA (critical), wanted no CA (critical)",
            "extended key usage is absent, wanted server authentication",
            "key usage is absent, wanted digital signature (critical)",
            "subject key identifier is absent, wanted " + server().extensions["subject key identifier"],
        ]

    def test_passphrase_added(self) -> None:
        plan = explain(
            Current(server(), (), key()), parse_request({**PARAMS, "privatekey_passphrase": SECRET}), None, NOW
        )
        assert plan.key_file == ("private key is not encrypted, wanted with a passphrase",)
        assert plan.reasons == list(plan.key_file)

    def test_chain(self) -> None:
        signer = authority()
        alone, whole = Current(server(signer), (), key()), Current(server(signer), signer.certificates, key())
        assert reasons(whole, signer, chain=True) == []
        assert reasons(alone, signer, chain=True) == [
            "chain below the certificate is nothing, wanted CN=Registry CA, O=Example"
        ]
        assert reasons(whole, signer) == ["chain below the certificate is CN=Registry CA, O=Example, wanted nothing"]

    def test_chain_after_the_ca_was_renewed(self) -> None:
        signer, renewed = authority(), authority("ca", days=4000)
        current = Current(server(signer), signer.certificates, key())
        plan = explain(current, parse_request({**SIGNED, "chain": True}), renewed, NOW)
        assert plan.certificate == ()
        assert plan.certificate_file == ("chain holds a former certificate of the CA",)

    def test_force(self) -> None:
        plan = explain(Current(server(), (), key()), parse_request({**PARAMS, "force": True}), None, NOW)
        assert plan.reasons == ["force is set: key and certificate are made anew"]
        assert plan.key
        assert plan.certificate

    def test_ca_is_compared_without_names(self) -> None:
        request = parse_request({"path": "/c", "privatekey_path": "/k", "usage": "ca", "subject": {"CN": "CA"}})
        template = Template("ca", (("CN", "CA"),), (), 3650)
        assert explain(Current(issue(template, key(), None, NOW), (), key()), request, None, NOW).reasons == []


def _bare(*, ca: bool, names: bool) -> Certificate:
    """Self-signed with next to no extensions."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry.lab")])
    signing: Any = key().key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=397))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        wanted = server().x509.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        builder = builder.add_extension(wanted.value, critical=False)
    return load_certificates(
        builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(), ""
    )[0]
