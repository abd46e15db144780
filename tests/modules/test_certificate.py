# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate, judged by openssl, by Go's TLS (skopeo) and by Python's strict verification."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule

PASSPHRASE = "correct horse battery"
NAMES = ["registry.lab", "*.registry.lab", "127.0.0.1", "2001:db8::10", "localhost"]
SUBJECT = {"C": "DE", "O": "Example", "CN": "registry.lab", "emailAddress": "root@registry.lab"}


class Pair:
    """Where a certificate and its key are, and the parameters for them."""

    def __init__(self, directory: Path, name: str) -> None:
        self.certificate, self.key = directory / f"{name}.crt", directory / f"{name}.key"

    @property
    def params(self) -> dict[str, Any]:
        return {"path": str(self.certificate), "privatekey_path": str(self.key)}

    @property
    def as_ca(self) -> dict[str, Any]:
        return {"ca_path": str(self.certificate), "ca_privatekey_path": str(self.key)}

    @property
    def contents(self) -> tuple[bytes, bytes]:
        return self.certificate.read_bytes(), self.key.read_bytes()


@pytest.fixture
def server(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "server")


@pytest.fixture
def ca(tmp_path: Path, run_module: RunModule) -> Pair:
    pair = Pair(tmp_path, "ca")
    run_module("certificate", **pair.params, usage="ca", subject={"CN": "Registry CA"}, days=3650)
    return pair


@contextlib.contextmanager
def serve(pair: Pair) -> Iterator[int]:
    """A TLS server on 127.0.0.1 that answers 404 to everything; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_args: object) -> None:
            """A client that refuses the certificate is what some tests want."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with Server(("127.0.0.1", 0), Handler) as httpd:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(httpd.server_address[1])
        finally:
            httpd.shutdown()
            thread.join()


def ask_with_go(host: str, port: int, anchor: Path) -> str:
    """What skopeo says about a registry whose anchor is the given one: a 404 means that TLS was fine."""
    trust = anchor.parent / f"trust-{anchor.stem}"
    trust.mkdir(exist_ok=True)
    (trust / "ca.crt").write_bytes(anchor.read_bytes())
    command = ["skopeo", "inspect", "--no-tags", "--cert-dir", str(trust), f"docker://{host}:{port}/image"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


def ask_with_python(name: str, port: int, anchor: Path) -> None:
    """A handshake as strict as Python 3.13's default."""
    context = ssl.create_default_context(cafile=str(anchor))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | 0x80000  # X509_V_FLAG_PARTIAL_CHAIN
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    with connection, context.wrap_socket(connection, server_hostname=name):
        pass


def test_check_run_check_run(run_module: RunModule, ca: Pair, server: Pair) -> None:
    params: dict[str, Any] = {**server.params, **ca.as_ca, "names": NAMES, "subject": SUBJECT}
    predicted = run_module("certificate", check=True, **params)
    assert not server.certificate.exists()
    assert not server.key.exists()
    done = run_module("certificate", **params)
    reasons = [f"{server.key}: is not there", f"{server.certificate}: is not there"]
    assert predicted["changed"]
    assert done["changed"]
    assert predicted["reasons"] == done["reasons"] == reasons
    for known in ("subject", "issuer", "names"):
        assert predicted[known] == done[known]
    for unknown in ("certificate", "fingerprint", "not_before", "not_after", "days_left", "serial"):
        assert predicted[unknown] is None
        assert done[unknown] is not None
    contents = server.contents
    for check in (True, False):
        settled = run_module("certificate", check=check, **params)
        assert not settled["changed"]
        assert settled["reasons"] == []
        assert settled["diff"]["before"] == settled["diff"]["after"]
        assert settled["fingerprint"] == done["fingerprint"]
        assert settled["filename"] == str(server.certificate)
    assert server.contents == contents


def test_ca_as_openssl_sees_it(run_module: RunModule, command: Any, tmp_path: Path) -> None:
    ca = Pair(tmp_path / "new" / "ca", "ca")
    done = run_module("certificate", **ca.params, usage="ca", subject={"CN": "Registry CA", "O": "Example"})
    text = command("openssl", "x509", "-in", ca.certificate, "-noout", "-text")
    assert re.search(r"Basic Constraints: critical\n\s+CA:TRUE\n", text)
    assert re.search(r"Key Usage: critical\n\s+Certificate Sign, CRL Sign\n", text)
    assert "Subject Key Identifier" in text
    assert "Subject Alternative Name" not in text
    assert "Extended Key Usage" not in text
    assert "ecdsa-with-SHA256" in text
    assert "Version: 3" in text
    command("openssl", "verify", "-x509_strict", "-CAfile", ca.certificate, ca.certificate)
    assert done["subject"] == done["issuer"] == "CN=Registry CA, O=Example"
    assert stat.S_IMODE(ca.certificate.parent.stat().st_mode) == 0o700


def test_server_certificate_as_openssl_sees_it(run_module: RunModule, command: Any, ca: Pair, server: Pair) -> None:
    done = run_module("certificate", **server.params, **ca.as_ca, names=NAMES, subject=SUBJECT, days=90)
    text = command("openssl", "x509", "-in", server.certificate, "-noout", "-text")
    assert re.search(r"Basic Constraints: critical\n\s+CA:FALSE\n", text)
    assert re.search(r"Key Usage: critical\n\s+Digital Signature\n", text)
    assert re.search(r"Extended Key Usage: ?\n\s+TLS Web Server Authentication\n", text)
    for present in ("Subject Key Identifier", "Authority Key Identifier", "ecdsa-with-SHA256", "ASN1 OID: prime256v1"):
        assert present in text
    names = (
        "DNS:registry.lab, DNS:*.registry.lab, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:10, DNS:localhost"
    )
    assert names in text
    subject = command("openssl", "x509", "-in", server.certificate, "-noout", "-subject", "-nameopt", "RFC2253,-dn_rev")
    assert subject.strip() == "subject=C=DE,O=Example,CN=registry.lab,emailAddress=root@registry.lab"
    command("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca.certificate, server.certificate)
    for name in ("registry.lab", "a.registry.lab"):
        assert "does match" in command("openssl", "x509", "-in", server.certificate, "-noout", "-checkhost", name)
    for address in ("127.0.0.1", "2001:db8::10"):
        assert "does match" in command("openssl", "x509", "-in", server.certificate, "-noout", "-checkip", address)
    command("openssl", "pkey", "-in", server.key, "-check", "-noout")
    public = command("openssl", "x509", "-in", server.certificate, "-noout", "-pubkey")
    assert public == command("openssl", "pkey", "-in", server.key, "-pubout")
    command("openssl", "x509", "-in", server.certificate, "-noout", "-checkend", str(90 * 86400 - 600))
    fingerprint = command("openssl", "x509", "-in", server.certificate, "-noout", "-fingerprint", "-sha256")
    assert fingerprint.strip().split("=")[1].replace(":", "").lower() == done["fingerprint"]
    serial = command("openssl", "x509", "-in", server.certificate, "-noout", "-serial")
    assert serial.strip().split("=")[1].lower() == done["serial"]
    assert done["certificate"] == server.certificate.read_text()


@pytest.mark.parametrize(("size", "shown"), [(2048, "(2048 bit)"), (384, "secp384r1"), (521, "secp521r1")])
def test_kinds_of_keys(run_module: RunModule, command: Any, server: Pair, ca: Pair, *, size: int, shown: str) -> None:
    key_type = "rsa" if size >= 2048 else "ecdsa"
    kind: dict[str, Any] = {"key_type": key_type, "key_size": size}
    run_module("certificate", **server.params, **ca.as_ca, **kind, names=NAMES)
    text = command("openssl", "x509", "-in", server.certificate, "-noout", "-text")
    assert shown in text
    assert ("Key Encipherment" in text) == (key_type == "rsa")
    assert server.key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    command("openssl", "pkey", "-in", server.key, "-check", "-noout")
    command("openssl", "verify", "-x509_strict", "-CAfile", ca.certificate, server.certificate)
    assert not run_module("certificate", **server.params, **ca.as_ca, **kind, names=NAMES)["changed"]


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "self-signed"])
def test_go_and_python_accept_it(
    run_module: RunModule, ca: Pair, server: Pair, tmp_path: Path, key_type: str, *, signed: bool
) -> None:
    kind: dict[str, Any] = {"key_type": key_type, "key_size": 2048 if key_type == "rsa" else 256}
    run_module("certificate", **server.params, **(ca.as_ca if signed else {}), **kind, names=NAMES)
    anchor = ca.certificate if signed else server.certificate
    stranger = Pair(tmp_path, "stranger")
    run_module("certificate", **stranger.params, usage="ca", subject={"CN": "Registry CA"})
    with serve(server) as port:
        for host in ("127.0.0.1", "localhost"):
            answer = ask_with_go(host, port, anchor)
            assert "404" in answer, answer
            assert "x509" not in answer
        for name in ("registry.lab", "a.registry.lab", "127.0.0.1"):
            ask_with_python(name, port, anchor)
        refused = ask_with_go("127.0.0.1", port, stranger.certificate)
        assert "x509: certificate signed by unknown authority" in refused, refused
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_with_python("registry.lab", port, stranger.certificate)
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.lab"):
            ask_with_python("other.lab", port, anchor)


def test_a_ca_and_what_it_signs_in_one_task(run_module: RunModule, command: Any, tmp_path: Path, server: Pair) -> None:
    ca = Pair(tmp_path, "own")
    wanted = {**server.params, **ca.as_ca, "names": NAMES, "ca": {"subject": {"CN": "One CA"}}, "mode": "0444"}
    foreseen = run_module("certificate", check=True, **wanted)
    assert not ca.certificate.exists()
    made = run_module("certificate", **wanted)
    assert foreseen["reasons"] == made["reasons"]
    assert made["reasons"][0].startswith("CA: ")
    assert [part["before"] for part in made["diff"]] == ["", ""]
    assert made["ca"]["certificate"] == ca.certificate.read_text()
    command("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca.certificate, server.certificate)
    assert "CN = One CA" in command("openssl", "x509", "-in", ca.certificate, "-noout", "-subject")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ca.certificate, ca.key)] == [0o644, 0o600]
    # The same as two tasks make, so they go on with what one has made, and it with theirs.
    alone = {**ca.params, "usage": "ca", "subject": {"CN": "One CA"}, "days": 3650, "renew_before": 400}
    for settled in (wanted, {**server.params, **ca.as_ca, "names": NAMES, "mode": "0444"}, alone):
        assert run_module("certificate", **settled)["changed"] is False
    before = ca.contents
    for other in ({"subject": {"CN": "Another CA"}}, {"subject": {"CN": "One CA"}, "key_type": "rsa"}):
        refused = run_module("certificate", **{**wanted, "ca": other, "ca_stays": True}, fails=True)
        assert "would be another one" in refused["msg"]
    assert ca.contents == before
    long = {**wanted["ca"], "days": 9000, "renew_before": 3700}
    renewed = run_module("certificate", **{**wanted, "ca": long, "ca_stays": True})
    assert [reason.partition(" ")[0] for reason in renewed["reasons"]] == ["CA:"]
    command("openssl", "verify", "-x509_strict", "-CAfile", ca.certificate, server.certificate)
    ca.certificate.unlink()
    assert "would be another one" in run_module("certificate", **{**wanted, "ca_stays": True}, fails=True)["msg"]
    assert not ca.certificate.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ca": {"subject": {}}}, "ca: subject is empty"),
        ({"ca": {"subject": {"CN": "One CA"}, "days": 0}}, "ca: days is 0"),
        ({"names": []}, "names is empty"),
        ({"ca_path": None, "ca_privatekey_path": None}, "ca: there is no place for it; give ca_path and"),
    ],
)
def test_nothing_is_made_of_a_ca_and_a_certificate_where_either_is_wrong(
    run_module: RunModule, tmp_path: Path, server: Pair, changes: dict[str, Any], told: str
) -> None:
    ca = Pair(tmp_path, "own")
    wanted = {**server.params, **ca.as_ca, "names": NAMES, "ca": {"subject": {"CN": "One CA"}}}
    assert run_module("certificate", fails=True, **{**wanted, **changes})["msg"].startswith(told)
    assert list(tmp_path.iterdir()) == []


def test_key_is_kept_when_only_names_change(run_module: RunModule, ca: Pair, server: Pair) -> None:
    run_module("certificate", **server.params, **ca.as_ca, names=["registry.lab", "old.lab"])
    certificate, key = server.contents
    changed: dict[str, Any] = {**server.params, **ca.as_ca, "names": ["registry.lab", "new.lab"]}
    predicted = run_module("certificate", check=True, **changed)
    assert server.contents == (certificate, key)
    done = run_module("certificate", **changed)
    assert predicted["reasons"] == done["reasons"] == ["SAN lacks DNS:new.lab", "SAN has DNS:old.lab, not wanted"]
    assert server.contents[0] != certificate
    assert server.contents[1] == key
    assert not run_module("certificate", **changed)["changed"]


def test_another_kind_of_key_brings_a_new_certificate(run_module: RunModule, command: Any, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES)
    done = run_module("certificate", **server.params, names=NAMES, key_size=384)
    assert done["reasons"] == [
        "private key is ecdsa 256, wanted ecdsa 384",
        "certificate is for the former private key",
    ]
    command("openssl", "verify", "-x509_strict", "-partial_chain", "-CAfile", server.certificate, server.certificate)
    assert not run_module("certificate", **server.params, names=NAMES, key_size=384)["changed"]


def test_run_that_was_killed_between_key_and_certificate_heals(
    run_module: RunModule, command: Any, server: Pair
) -> None:
    run_module("certificate", **server.params, names=NAMES)
    command("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", server.key)
    key = server.key.read_bytes()
    done = run_module("certificate", **server.params, names=NAMES)
    assert done["reasons"] == ["private key does not match the certificate"]
    assert server.key.read_bytes() == key
    assert not run_module("certificate", **server.params, names=NAMES)["changed"]


def test_renewal(run_module: RunModule, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES, days=50)
    key = server.key.read_bytes()
    # Another lifetime alone is no reason.
    assert not run_module("certificate", **server.params, names=NAMES, days=90)["changed"]
    due: dict[str, Any] = {**server.params, "names": NAMES, "days": 90, "renew_before": 60}
    predicted = run_module("certificate", check=True, **due)
    done = run_module("certificate", **due)
    for result in (predicted, done):
        # A second after it was made there are 49 whole days left.
        assert re.fullmatch(r"expires in (49|50) days, renewal is due 60 days before", *result["reasons"])
    assert done["days_left"] in (89, 90)
    assert server.key.read_bytes() == key
    assert not run_module("certificate", **due)["changed"]


def test_new_key_of_the_ca(run_module: RunModule, command: Any, ca: Pair, server: Pair) -> None:
    run_module("certificate", **server.params, **ca.as_ca, names=NAMES)
    run_module("certificate", **ca.params, usage="ca", subject={"CN": "Registry CA"}, force=True)
    done = run_module("certificate", **server.params, **ca.as_ca, names=NAMES)
    assert done["reasons"] == ["certificate is not signed by the present key of CN=Registry CA"]
    command("openssl", "verify", "-x509_strict", "-CAfile", ca.certificate, server.certificate)


def test_from_self_signed_to_a_ca_and_back(run_module: RunModule, ca: Pair, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES)
    there = run_module("certificate", **server.params, **ca.as_ca, names=NAMES)
    assert there["reasons"] == ["issuer is CN=registry.lab, wanted CN=Registry CA"]
    back = run_module("certificate", **server.params, names=NAMES)
    assert back["reasons"] == ["issuer is CN=Registry CA, wanted self-signed"]


def test_ca_made_by_openssl(run_module: RunModule, command: Any, tmp_path: Path, server: Pair) -> None:
    ca = _openssl_ca(command, tmp_path, "-days", "3650")
    params: dict[str, Any] = {**server.params, **ca.as_ca, "names": NAMES}
    run_module("certificate", **params, ca_privatekey_passphrase=PASSPHRASE)
    command("openssl", "verify", "-CAfile", ca.certificate, server.certificate)
    assert not run_module("certificate", **params, ca_privatekey_passphrase=PASSPHRASE)["changed"]
    for wrong in (None, "wrong"):
        failed = run_module("certificate", fails=True, **params, ca_privatekey_passphrase=wrong)
        assert failed["msg"].startswith(f"ca_privatekey_path: {ca.key}: the private key")


def test_certificate_ends_with_its_ca(run_module: RunModule, command: Any, tmp_path: Path, server: Pair) -> None:
    ca = _openssl_ca(command, tmp_path, "-days", "100")
    params: dict[str, Any] = {**server.params, **ca.as_ca, "names": NAMES, "ca_privatekey_passphrase": PASSPHRASE}
    done = run_module("certificate", **params)
    assert len(done["warnings"]) == 1
    assert "days, not 397" in str(done["warnings"])
    end = [command("openssl", "x509", "-in", pair.certificate, "-noout", "-enddate") for pair in (ca, server)]
    assert end[0] == end[1]
    settled = run_module("certificate", **params)
    assert not settled["changed"]
    assert "warnings" not in settled
    contents = server.contents
    failed = run_module("certificate", fails=True, **params, renew_before=200)
    assert "renew the CA first" in failed["msg"]
    assert server.contents == contents


def _openssl_ca(command: Any, directory: Path, *options: str) -> Pair:
    ca = Pair(directory, "openssl-ca")
    command(
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-passout",
            f"pass:{PASSPHRASE}",
            "-subj",
            "/CN=Brought CA",
        ),
        *("-keyout", ca.key, "-out", ca.certificate, *options),
    )
    return ca


def test_chain(run_module: RunModule, command: Any, ca: Pair, server: Pair) -> None:
    params: dict[str, Any] = {**server.params, **ca.as_ca, "names": NAMES}
    run_module("certificate", **params)
    leaf = server.certificate.read_text()
    added = run_module("certificate", **params, chain=True)
    assert added["reasons"] == ["chain below the certificate is nothing, wanted CN=Registry CA"]
    assert server.certificate.read_text() == added["certificate"] == leaf + ca.certificate.read_text()
    assert not run_module("certificate", **params, chain=True)["changed"]
    command("openssl", "verify", "-CAfile", ca.certificate, "-untrusted", server.certificate, server.certificate)
    predicted = run_module("certificate", check=True, **params)
    removed = run_module("certificate", **params)
    assert predicted["certificate"] == removed["certificate"] == server.certificate.read_text() == leaf


def test_passphrase(run_module: RunModule, command: Any, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES)
    certificate, _key = server.contents
    public = command("openssl", "pkey", "-in", server.key, "-pubout")
    added = run_module("certificate", **server.params, names=NAMES, privatekey_passphrase=PASSPHRASE)
    assert added["reasons"] == ["private key is not encrypted, wanted with a passphrase"]
    assert server.key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert command("openssl", "pkey", "-in", server.key, "-passin", f"pass:{PASSPHRASE}", "-pubout") == public
    assert server.certificate.read_bytes() == certificate
    assert not run_module("certificate", **server.params, names=NAMES, privatekey_passphrase=PASSPHRASE)["changed"]
    contents = server.contents
    for wrong, message in ((None, "is encrypted; give its passphrase"), ("not this one", "the passphrase is wrong")):
        given: dict[str, Any] = {} if wrong is None else {"privatekey_passphrase": wrong}
        failed = run_module("certificate", fails=True, **server.params, names=NAMES, **given)
        assert message in failed["msg"]
        assert "set force" in failed["msg"]
        assert server.contents == contents
    forced = run_module("certificate", **server.params, names=NAMES, privatekey_passphrase="another", force=True)
    assert forced["changed"]
    command("openssl", "pkey", "-in", server.key, "-passin", "pass:another", "-check", "-noout")


def test_no_secret_in_any_result(run_module: RunModule, ca: Pair, server: Pair) -> None:
    params: dict[str, Any] = {**server.params, **ca.as_ca, "names": NAMES, "privatekey_passphrase": PASSPHRASE}
    results = [run_module("certificate", **params), run_module("certificate", **params)]
    results.append(run_module("certificate", check=True, **params, force=True))
    results.append(run_module("certificate", fails=True, **{**params, "privatekey_passphrase": f"{PASSPHRASE}!"}))
    results.append(run_module("certificate", **{**params, "state": "absent"}))
    run_module("certificate", **server.params, names=NAMES)
    results.append(run_module("certificate", fails=True, **{**server.params, "path": str(server.key)}, names=NAMES))
    results.append(run_module("certificate_info", fails=True, path=str(server.key)))
    shown = json.dumps(results)
    assert PASSPHRASE not in shown
    assert "PRIVATE KEY-----\\n" not in shown
    for line in server.key.read_text().splitlines()[1:-1]:
        assert line not in shown


def test_modes_and_owners(run_module: RunModule, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (server.certificate, server.key)] == [0o644, 0o600]
    wanted: dict[str, Any] = {"owner": "65532", "group": "65532", "mode": "0444", "privatekey_mode": "0400"}
    contents = server.contents
    predicted = run_module("certificate", check=True, **server.params, names=NAMES, **wanted)
    done = run_module("certificate", **server.params, names=NAMES, **wanted)
    assert predicted["reasons"] == done["reasons"]
    assert len(done["reasons"]) == 6
    assert predicted["fingerprint"] == done["fingerprint"]
    for path, mode in ((server.certificate, 0o444), (server.key, 0o400)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65532, 65532, mode)
    assert server.contents == contents
    assert not run_module("certificate", **server.params, names=NAMES, **wanted)["changed"]
    run_module("certificate", **server.params, names=["new.lab"], **wanted)
    assert stat.S_IMODE(server.certificate.stat().st_mode) == 0o444


def test_absent(run_module: RunModule, server: Pair) -> None:
    run_module("certificate", **server.params, names=NAMES)
    predicted = run_module("certificate", check=True, **server.params, state="absent")
    assert server.certificate.exists()
    done = run_module("certificate", **server.params, state="absent")
    assert predicted["reasons"] == done["reasons"]
    assert [reason.split(": ")[1] for reason in done["reasons"]] == ["is there, wanted absent"] * 2
    assert not server.certificate.exists()
    assert not server.key.exists()
    assert not run_module("certificate", **server.params, state="absent")["changed"]


def test_ca_and_certificate_that_are_due_at_once(run_module: RunModule, tmp_path: Path, server: Pair) -> None:
    ca = {"subject": {"CN": "One CA"}, "days": 25, "renew_before": 5}
    wanted = {**server.params, **Pair(tmp_path, "ca").as_ca, "names": NAMES, "ca": ca, "days": 20, "renew_before": 5}
    run_module("certificate", **wanted)
    # As if nobody had run it for a year.
    late = {**wanted, "ca": {**ca, "days": 3650, "renew_before": 400}, "days": 397, "renew_before": 30}
    predicted = run_module("certificate", check=True, **late)
    done = run_module("certificate", **late)
    # A day may have ended between the two.
    reasons = [[re.sub(r"in \d+ days", "soon", reason) for reason in each["reasons"]] for each in (predicted, done)]
    assert reasons[0] == reasons[1]
    assert len([reason for reason in done["reasons"] if reason.startswith("CA: ")]) == 1
    assert not run_module("certificate", **late)["changed"]


def test_ca_that_is_not_there(run_module: RunModule, tmp_path: Path, server: Pair) -> None:
    params: dict[str, Any] = {**server.params, **Pair(tmp_path, "ca").as_ca, "names": NAMES}
    predicted = run_module("certificate", check=True, **params)
    assert predicted["changed"]
    assert predicted["issuer"] is None
    failed = run_module("certificate", fails=True, **params)
    assert "make the CA first" in failed["msg"]
    assert not server.key.exists()


@pytest.mark.parametrize("which", ["certificate", "key"])
@pytest.mark.parametrize(
    "content", [b"garbled", b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_unreadable_files(run_module: RunModule, command: Any, server: Pair, which: str, content: bytes) -> None:
    run_module("certificate", **server.params, names=NAMES)
    getattr(server, which).write_bytes(content)
    contents = server.contents
    for check in (True, False):
        failed = run_module("certificate", fails=True, check=check, **server.params, names=NAMES)
        assert str(getattr(server, which)) in failed["msg"]
        assert "set force" in failed["msg"]
        assert server.contents == contents
    forced = run_module("certificate", **server.params, names=NAMES, force=True)
    assert forced["reasons"] == ["force is set: key and certificate are made anew"]
    assert server.contents[1] != contents[1]
    command("openssl", "verify", "-x509_strict", "-partial_chain", "-CAfile", server.certificate, server.certificate)
    assert not run_module("certificate", **server.params, names=NAMES)["changed"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key_type": "rsa", "key_size": 1024}, "key_size: 1024"),
        ({"names": ["http://x"]}, "names: 'http://x'"),
        ({"days": -1}, "days is -1"),
        ({"days": 30, "renew_before": 30}, "renew_before"),
        ({"renew_before": -1}, "renew_before is -1"),
        ({"subject": {"CN": "a" * 65}}, "subject: CN"),
        ({"ca_path": "/nowhere/ca.crt"}, "ca_privatekey_path is missing"),
        ({"mode": "rw"}, "mode: 'rw'"),
        ({"privatekey_mode": "rw"}, "privatekey_mode: 'rw'"),
        ({"owner": "nobody-of-that-name"}, "owner"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_wrong_parameters(
    run_module: RunModule, server: Pair, wrong: dict[str, Any], message: str, *, check: bool
) -> None:
    failed = run_module("certificate", fails=True, check=check, **{**server.params, "names": NAMES, **wrong})
    assert failed["msg"].startswith(message)
    assert not server.key.exists()
    assert not server.certificate.exists()


def test_ca_that_cannot_sign(run_module: RunModule, tmp_path: Path, ca: Pair, server: Pair) -> None:
    leaf, other = Pair(tmp_path, "leaf"), Pair(tmp_path, "other")
    run_module("certificate", **leaf.params, names=["leaf.lab"])
    run_module("certificate", **other.params, usage="ca", subject={"CN": "Other CA"})
    failed = run_module("certificate", fails=True, **server.params, **leaf.as_ca, names=NAMES)
    assert "is not a CA's certificate" in failed["msg"]
    mixed: dict[str, Any] = {"ca_path": str(ca.certificate), "ca_privatekey_path": str(other.key)}
    failed = run_module("certificate", fails=True, **server.params, **mixed, names=NAMES)
    assert "is not the key of the certificate" in failed["msg"]
    failed = run_module(
        "certificate", fails=True, **server.params, **ca.as_ca, names=NAMES, subject={"CN": "Registry CA"}
    )
    assert failed["msg"].startswith("subject is that of the CA")
    assert not server.key.exists()


class TestRequest:
    """A CA whose key is on another host: the key is made here, and signed for there."""

    @pytest.fixture
    def wanted(self, server: Pair, ca: Pair) -> dict[str, Any]:
        return {**server.params, "ca_content": ca.certificate.read_text(), "names": NAMES, "subject": SUBJECT}

    @staticmethod
    def sign(run_module: RunModule, ca: Pair, request: str, **params: Any) -> dict[str, Any]:
        given = {"names": NAMES, "subject": SUBJECT, **ca.as_ca, **params}
        return run_module("certificate_sign", request=request, **given)

    def provide(self, run_module: RunModule, ca: Pair, wanted: dict[str, Any]) -> None:
        signed = self.sign(run_module, ca, run_module("certificate", **wanted)["request"])
        run_module("certificate", **wanted, issued_content=signed["certificate"])

    def test_is_signed_and_put_in_place(
        self, run_module: RunModule, server: Pair, ca: Pair, wanted: dict[str, Any]
    ) -> None:
        asked = run_module("certificate", **wanted)
        assert asked["changed"]
        assert not server.certificate.exists()
        assert not server.key.exists()
        signed = self.sign(run_module, ca, asked["request"])
        done = run_module("certificate", **wanted, issued_content=signed["certificate"])
        assert done["fingerprint"] == signed["fingerprint"]
        assert done["request"] is None
        assert stat.S_IMODE(server.key.stat().st_mode) == 0o600
        assert {path.name for path in server.key.parent.iterdir()} == {"ca.crt", "ca.key", "server.crt", "server.key"}
        openssl = ["openssl", "verify", "-x509_strict", "-verify_hostname", "registry.lab", "-CAfile"]
        subprocess.run([*openssl, str(ca.certificate), str(server.certificate)], check=True)
        again = run_module("certificate", **wanted)
        assert not again["changed"]
        assert again["request"] is None

    def test_openssl_reads_it(self, run_module: RunModule, command: Any, wanted: dict[str, Any]) -> None:
        request = run_module("certificate", **wanted)["request"]
        shown = command("openssl", "req", "-verify", "-noout", "-text", stdin=request)
        assert "verify OK" in shown
        assert "DNS:*.registry.lab" in shown

    def test_keeps_the_key_at_a_renewal(
        self, run_module: RunModule, server: Pair, ca: Pair, wanted: dict[str, Any]
    ) -> None:
        self.provide(run_module, ca, wanted)
        before = server.contents
        fewer = {**wanted, "names": ["registry.lab"]}
        asked = run_module("certificate", **fewer)
        assert "SAN has DNS:localhost, not wanted" in asked["reasons"]
        assert server.contents == before
        signed = self.sign(run_module, ca, asked["request"], names=["registry.lab"])
        run_module("certificate", **fewer, issued_content=signed["certificate"])
        assert server.contents[1] == before[1]
        assert server.contents[0] != before[0]

    def test_leaves_the_former_pair_until_a_new_key_is_signed_for(
        self, run_module: RunModule, server: Pair, ca: Pair, wanted: dict[str, Any]
    ) -> None:
        self.provide(run_module, ca, wanted)
        before = server.contents
        run_module("certificate", **wanted, force=True)
        # Interrupted here: what waits is taken up again.
        asked = run_module("certificate", **wanted, force=True)
        assert server.contents == before
        signed = self.sign(run_module, ca, asked["request"])
        run_module("certificate", **wanted, force=True, issued_content=signed["certificate"])
        assert server.contents[0] != before[0]
        assert server.contents[1] != before[1]
        assert not run_module("certificate", **wanted)["changed"]

    def test_check_mode_makes_no_key(self, run_module: RunModule, server: Pair, wanted: dict[str, Any]) -> None:
        asked = run_module("certificate", **wanted, check=True)
        assert asked["changed"]
        assert asked["request"] is None
        assert not list(server.key.parent.glob("server*"))

    def test_absent_forgets_a_key_that_waits(self, run_module: RunModule, server: Pair, wanted: dict[str, Any]) -> None:
        run_module("certificate", **wanted)
        assert run_module("certificate", **server.params, state="absent")["changed"]
        assert not list(server.key.parent.glob("server*"))

    def test_names_what_does_not_fit(
        self, run_module: RunModule, server: Pair, ca: Pair, wanted: dict[str, Any], tmp_path: Path
    ) -> None:
        other = Pair(tmp_path, "other")
        run_module("certificate", **other.params, usage="ca", subject={"CN": "Other CA"}, days=3650)
        asked = run_module("certificate", **wanted)
        short = self.sign(run_module, ca, asked["request"], days=20, renew_before=1)["certificate"]
        for issued, complaint in (
            (self.sign(run_module, other, asked["request"])["certificate"], "not signed by the CA in ca_content"),
            (short, "due for renewal at once"),
            (ca.certificate.read_text(), "is not for the key on this host"),
            ("nothing", "holds no certificate in PEM"),
        ):
            refused = run_module("certificate", **wanted, issued_content=issued, fails=True)
            assert "issued_content" in refused["msg"]
            assert complaint in refused["msg"]
        assert not server.certificate.exists()

    def test_signs_for_nobody_without_the_key(self, run_module: RunModule, ca: Pair, wanted: dict[str, Any]) -> None:
        request = run_module("certificate", **wanted)["request"]
        # The last bytes are of the signature.
        *lines, last, end = request.strip().splitlines()
        forged = "\n".join([*lines, last[:-12] + ("AAAA" if last[-12:-8] != "AAAA" else "BBBB") + last[-8:], end])
        for text, complaint in (
            (forged, "is not signed by the key"),
            (ca.certificate.read_text(), "holds no request"),
        ):
            refused = run_module("certificate_sign", request=text, names=NAMES, subject=SUBJECT, **ca.as_ca, fails=True)
            assert complaint in refused["msg"]

    def test_takes_the_names_from_whoever_signs(self, run_module: RunModule, ca: Pair, wanted: dict[str, Any]) -> None:
        request = run_module("certificate", **wanted)["request"]
        assert self.sign(run_module, ca, request, names=["only.lab"])["names"] == ["only.lab"]
