# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate_info, on what openssl made and on live servers."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .test_certificate import NAMES, PASSPHRASE, Pair, serve


@pytest.fixture
def made(tmp_path: Path, command: Any) -> Pair:
    """A self-signed certificate by openssl, with an encrypted RSA key and a short life."""
    pair = Pair(tmp_path, "openssl")
    command(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", f"pass:{PASSPHRASE}", "-days", "20"),
        *("-subj", "/C=DE/O=Example/CN=registry.lab", "-addext", "subjectAltName=DNS:registry.lab,IP:10.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", pair.key, "-out", pair.certificate),
    )
    return pair


@pytest.fixture
def signed(tmp_path: Path, run_module: RunModule) -> Pair:
    """A certificate and its chain, signed by the CA beside it."""
    ca, pair = Pair(tmp_path, "ca"), Pair(tmp_path, "server")
    run_module("certificate", **ca.params, usage="ca", subject={"CN": "Registry CA"})
    run_module("certificate", **pair.params, **ca.as_ca, names=NAMES, days=90, chain=True)
    return pair


def test_facts_of_a_file(run_module: RunModule, command: Any, made: Pair) -> None:
    result = run_module("certificate_info", path=str(made.certificate))
    assert not result["changed"]
    assert result["names"] == ["registry.lab", "10.0.0.1"]
    assert result["subject"] == result["issuer"] == "C=DE, O=Example, CN=registry.lab"
    assert result["key"] == {"type": "rsa", "size": 2048}
    assert result["days_left"] in (19, 20)
    assert result["is_ca"] is False
    assert result["chain"] == []
    assert result["key_matches"] is None
    assert result["problems"] == []
    shown = command("openssl", "x509", "-in", made.certificate, "-noout", "-fingerprint", "-sha256", "-serial")
    assert f"{result['fingerprint']} serial={result['serial']}" in shown.replace(":", "").replace("\n", " ").lower()


def test_text_is_the_same(run_module: RunModule, made: Pair) -> None:
    of_file = run_module("certificate_info", path=str(made.certificate))
    of_text = run_module("certificate_info", content=made.certificate.read_text(), check=True)
    for result in (of_file, of_text):
        # Not there from ansible-core 2.21 on.
        result.pop("invocation", None)
    assert of_file == of_text


def test_key(run_module: RunModule, made: Pair, signed: Pair) -> None:
    look: dict[str, Any] = {"path": str(made.certificate)}
    right = run_module("certificate_info", **look, privatekey_path=str(made.key), privatekey_passphrase=PASSPHRASE)
    assert (right["key_matches"], right["problems"]) == (True, [])
    text = made.key.read_text()
    right = run_module("certificate_info", **look, privatekey_content=text, privatekey_passphrase=PASSPHRASE)
    assert (right["key_matches"], right["problems"]) == (True, [])
    locked = run_module("certificate_info", **look, privatekey_content=text)
    assert locked["key_matches"] is False
    assert "give its passphrase" in locked["problems"][0]
    other = run_module("certificate_info", **look, privatekey_path=str(signed.key))
    assert other["key_matches"] is False
    assert other["problems"] == ["The private key (ecdsa 256) does not match the certificate (rsa 2048)."]
    missing = run_module("certificate_info", **look, privatekey_path="/nowhere/server.key")
    assert missing["key_matches"] is False
    assert missing["problems"] == ["privatekey_path: /nowhere/server.key is not there."]
    shown = json.dumps([right, locked, other])
    assert PASSPHRASE not in shown
    assert text.splitlines()[1] not in shown


def test_names_and_anchor(run_module: RunModule, tmp_path: Path, made: Pair, signed: Pair) -> None:
    anchor = tmp_path / "ca.crt"
    look: dict[str, Any] = {"path": str(signed.certificate), "names": ["a.registry.lab", "127.0.0.1"]}
    assert run_module("certificate_info", **look, ca_path=str(anchor))["problems"] == []
    assert run_module("certificate_info", **look, ca_content=anchor.read_text())["problems"] == []
    result = run_module(
        "certificate_info", path=str(signed.certificate), names=["other.lab"], ca_path=str(made.certificate)
    )
    assert [problem.split(" (")[0].split(";")[0] for problem in result["problems"]] == [
        "The certificate does not cover other.lab",
        "The certificate does not lead to the trust anchor",
    ]
    missing = run_module("certificate_info", **look, ca_path="/nowhere/ca.crt")
    assert missing["problems"] == ["ca_path: /nowhere/ca.crt is not there."]


def test_chain(run_module: RunModule, signed: Pair) -> None:
    result = run_module("certificate_info", path=str(signed.certificate))
    assert [entry["subject"] for entry in result["chain"]] == ["CN=Registry CA"]
    assert result["chain"][0]["is_ca"] is True
    assert set(result["chain"][0]) <= set(result)


def test_live_server(run_module: RunModule, tmp_path: Path, signed: Pair) -> None:
    of_file = run_module("certificate_info", path=str(signed.certificate))
    with serve(signed) as port:
        live = run_module("certificate_info", host="127.0.0.1", port=port, ca_path=str(tmp_path / "ca.crt"))
        other = run_module("certificate_info", host="127.0.0.1", port=port, names=["other.lab"])
    for fact in ("fingerprint", "serial", "names", "not_after", "subject", "problems"):
        assert live[fact] == of_file[fact]
    # Python 3.9 tells of a connection's first certificate only.
    assert live["chain"] == (of_file["chain"] if sys.version_info >= (3, 10) else [])
    assert other["problems"] == [
        "The certificate does not cover other.lab; its names are: "
        "registry.lab, *.registry.lab, 127.0.0.1, 2001:db8::10, localhost."
    ]


def test_live_server_that_shows_what_nobody_trusts(run_module: RunModule, command: Any, tmp_path: Path) -> None:
    pair = Pair(tmp_path, "bare")
    command(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20", "-subj", "/CN=registry.lab"),
        *("-keyout", pair.key, "-out", pair.certificate),
    )
    with serve(pair) as port:
        result = run_module("certificate_info", host="127.0.0.1", port=port)
    assert result["subject"] == "CN=registry.lab"
    assert result["problems"] == [
        "The certificate has no subject alternative name: Docker refuses it, whatever its CN.",
        "The certificate does not cover 127.0.0.1; its names are: none.",
    ]


def test_server_that_is_not_there_or_does_not_speak_tls(run_module: RunModule) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        # Bound, but not listening.
        failed = run_module("certificate_info", fails=True, host="127.0.0.1", port=port)
        assert f"127.0.0.1:{port} shows no certificate" in failed["msg"]
        listener.listen()
        failed = run_module("certificate_info", fails=True, host="127.0.0.1", port=port, timeout=1)
        assert f"127.0.0.1:{port} shows no certificate" in failed["msg"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "one of the following is required"),
        ({"path": "/a", "host": "registry.lab"}, "mutually exclusive"),
        ({"path": "/nowhere/a.crt"}, "path: /nowhere/a.crt is not there."),
        ({"path": "/"}, "/ cannot be read"),
        ({"content": ""}, "content holds no certificate in PEM"),
        ({"content": "text"}, "content holds no certificate in PEM"),
        ({"host": "https://registry.lab"}, "scheme"),
        ({"host": "registry.lab/v2"}, "slash"),
        ({"host": "registry.lab", "port": 0}, "port"),
        ({"host": "registry.lab", "port": 70000}, "port"),
        ({"content": "a", "privatekey_path": "/a", "privatekey_content": "b"}, "mutually exclusive"),
    ],
)
def test_sources_that_cannot_be_read(run_module: RunModule, params: dict[str, Any], message: str) -> None:
    assert message in run_module("certificate_info", fails=True, **params)["msg"]
