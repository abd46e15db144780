# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's pure parts; what it does on a wire is in tests/modules/test_registry_probe.py."""

from __future__ import annotations

import base64
import errno
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import (
    Challenge,
    Client,
    Credentials,
    Endpoint,
    Reply,
    completed_upload,
    digest_of,
    parse_challenge,
    trust,
)
from hypothesis import given
from hypothesis import strategies as st

UPLOAD = "/v2/team/probe/blobs/uploads/"


def client(port: int = 5000, *, tls: bool = False) -> Client:
    return Client(Endpoint("registry.test", port, tls), timeout=1)


def leads_to(location: str) -> str:
    return client().upload_location(Reply(202, {"location": location}, b""), UPLOAD)


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, Challenge()),
        ("", Challenge()),
        ("Basic", Challenge("basic")),
        ('Basic realm="the lab"', Challenge("basic", "the lab")),
        ("BASIC Realm=lab", Challenge("basic", "lab")),
        ('Basic charset="UTF-8", realm="a, b"', Challenge("basic", "a, b")),
        (r'Basic realm="say \"friend\""', Challenge("basic", 'say "friend"')),
        ('Bearer realm="https://auth.test/token",service="registry"', Challenge("bearer", "https://auth.test/token")),
        ('Basic realm=""', Challenge("basic", "")),
        ('Basic surrealm="x"', Challenge("basic")),
    ],
)
def test_challenges(header: str | None, challenge: Challenge) -> None:
    assert parse_challenge(header) == challenge


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_realm_survives_quoting(realm: str) -> None:
    quoted = realm.replace("\\", r"\\").replace('"', r"\"")
    assert parse_challenge(f'Basic realm="{quoted}"').realm == realm


@given(st.text())
def test_no_header_upsets(header: str) -> None:
    parse_challenge(header)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/x", "/v2/x?digest=sha256%3Aab"),
        ("/v2/x?_state=a%2Bb", "/v2/x?_state=a%2Bb&digest=sha256%3Aab"),
        ("http://h:5000/v2/x?", "http://h:5000/v2/x?digest=sha256%3Aab"),
        ("http://h/v2/x?a=1&b=2#f", "http://h/v2/x?a=1&b=2&digest=sha256%3Aab"),
    ],
)
def test_uploads_are_ended_with_the_digest(location: str, url: str) -> None:
    assert completed_upload(location, "sha256:ab") == url


@given(st.dictionaries(st.sampled_from(["_state", "ns", "id"]), st.from_regex(r"[\w.-]{1,20}", fullmatch=True)))
def test_what_a_session_asked_for_is_kept(query: dict[str, str]) -> None:
    location = f"http://h:5000/v2/x?{urlencode(query)}"
    parts = urlsplit(completed_upload(location, digest_of(b"")))
    assert dict(parse_qsl(parts.query)) == {**query, "digest": digest_of(b"")}


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/team/probe/blobs/uploads/id", f"http://registry.test:5000{UPLOAD}id"),
        ("id?_state=x", f"http://registry.test:5000{UPLOAD}id?_state=x"),
        (f"http://registry.test:5000{UPLOAD}id", f"http://registry.test:5000{UPLOAD}id"),
        ("http://REGISTRY.test:5000/x", "http://REGISTRY.test:5000/x"),
    ],
)
def test_locations_are_resolved(location: str, url: str) -> None:
    assert leads_to(location) == url


@pytest.mark.parametrize(
    "location",
    [
        "https://registry.test:5000/x",
        "http://registry.test/x",
        "http://registry.test:5001/x",
        "http://elsewhere.test:5000/x",
        "//elsewhere.test:5000/x",
        "http://registry.test:5000@elsewhere.test/x",
    ],
)
def test_credentials_do_not_follow_elsewhere(location: str) -> None:
    with pytest.raises(RegistryError, match="sends its clients to http"):
        leads_to(location)


def test_default_ports_are_left_out() -> None:
    reply = Reply(202, {"location": "https://registry.test/x"}, b"")
    assert client(port=443, tls=True).upload_location(reply, UPLOAD) == "https://registry.test/x"


def test_an_upload_without_location() -> None:
    with pytest.raises(RegistryError, match="no Location header"):
        client().upload_location(Reply(202, {}, b""), UPLOAD)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"errors": [{"code": "DENIED", "message": "not here", "detail": None}]}, "500 DENIED, not here"),
        ({"errors": [{"code": "UNSUPPORTED"}]}, "500 UNSUPPORTED"),
        (
            {
                "errors": [
                    {
                        "code": "UNKNOWN",
                        "message": "unknown error",
                        "detail": {"DriverName": "filesystem", "Enclosed": {"Op": "write", "Err": errno.ENOSPC}},
                    }
                ]
            },
            "500 UNKNOWN, the storage says: No space left on device",
        ),
        ({"errors": []}, "500"),
        ({"errors": ["DENIED"]}, "500"),
        ({"errors": None}, "500"),
        ([], "500"),
        (None, "500"),
    ],
)
def test_faults_name_the_code_and_the_cause(body: object, fault: str) -> None:
    assert Reply(500, {}, json.dumps(body).encode()).fault == fault


@given(st.binary())
def test_no_body_upsets(body: bytes) -> None:
    assert Reply(502, {}, body).fault.startswith("502")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["code", "message", "detail"]), inner),
    )
)
def test_no_error_upsets(errors: object) -> None:
    assert Reply(502, {}, json.dumps({"errors": errors}).encode()).fault.startswith("502")


def test_credentials_are_utf8_and_hidden() -> None:
    credentials = Credentials("moby", "wäl")
    assert base64.b64decode(credentials.header.split()[1]).decode() == "moby:wäl"
    assert "wäl" not in repr(credentials)


@pytest.mark.parametrize(
    ("endpoint", "url", "words"),
    [
        (Endpoint("registry.test"), "https://registry.test:5000", "registry.test:5000"),
        (Endpoint("::1", 5000, tls=False), "http://[::1]:5000", "[::1]:5000"),
        (
            Endpoint("registry.test", 443, address="10.0.0.1"),
            "https://registry.test:443",
            "registry.test:443 (at 10.0.0.1)",
        ),
    ],
)
def test_endpoints(endpoint: Endpoint, url: str, words: str) -> None:
    assert (endpoint.url, str(endpoint)) == (url, words)


@pytest.mark.parametrize(
    "text", ["/etc/ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ünïcode"]
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="ca_certificate: is no certificate in PEM"):
        trust(text)
