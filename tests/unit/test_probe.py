# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe expects; what it sees is in tests/modules/test_registry_probe.py."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._probe import (
    BLOB,
    MANIFEST,
    Expectations,
    parse_expectations,
)

PARAMS: dict[str, Any] = {
    "host": "registry.test",
    "port": 5000,
    "address": None,
    "client_certificate": "",
    "client_key": "",
    "security": "tls",
    "ca_certificate": None,
    "fingerprint": None,
    "username": None,
    "password": None,
    "anonymous": None,
    "push": True,
    "delete": True,
    "repository": "stronghold/probe",
    "timeout": 30,
}
USER = {"username": "moby", "password": "secret"}


def parse(**params: Any) -> Expectations:
    return parse_expectations({**PARAMS, **params}, check_mode=False)


@pytest.mark.parametrize(
    ("params", "anonymous"),
    [({}, "any"), (USER, "refused"), ({**USER, "anonymous": "allowed"}, "allowed"), ({"anonymous": "any"}, "any")],
)
def test_what_is_expected_of_the_unknown(params: dict[str, Any], anonymous: str) -> None:
    assert parse(**params).anonymous == anonymous


def test_check_mode_pushes_nothing() -> None:
    assert parse().push is True
    assert parse_expectations(PARAMS, check_mode=True).push is False
    assert parse(push=False).push is False


@pytest.mark.parametrize(
    "host", ["registry.test", "a", "10.0.0.1", "::1", "[fe80::1]", "Registry_1.test", "xn--bcher-kva.test."]
)
def test_hosts(host: str) -> None:
    assert parse(host=host).endpoint.host == host.strip("[]")
    assert parse(address=host).endpoint.address == host.strip("[]")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"host": ""}, "host: ''"),
        ({"host": "https://registry.test"}, "host: 'https://registry.test'"),
        ({"host": "registry.test/v2"}, "host: "),
        ({"host": "registry.test:5000"}, "host: "),
        ({"host": "-x"}, "host: "),
        ({"address": "10.0.0.1/8"}, "address: "),
        ({"client_key": "x"}, "client_certificate and client_key: give both or none"),
        ({"client_certificate": "x", "client_key": "x"}, "client_certificate: it holds no certificate"),
        ({"port": 0}, "port: is 0"),
        ({"port": 65536}, "port: is 65536"),
        ({"port": -1}, "port: is -1"),
        ({"username": "moby"}, "give both or none"),
        ({"password": "secret"}, "give both or none"),
        ({"username": "mo:by", "password": "secret"}, "has a colon"),
        ({"repository": ""}, "is no repository's name"),
        ({"repository": "Team/probe"}, "is no repository's name"),
        ({"repository": "team//probe"}, "is no repository's name"),
        ({"repository": "../probe"}, "is no repository's name"),
        ({"fingerprint": "ab" * 31}, "fingerprint: is no SHA-256"),
        ({"fingerprint": "gg" * 32}, "fingerprint: is no SHA-256"),
        ({"fingerprint": "ab" * 32, "security": "insecure"}, "nothing has one without TLS"),
        ({"timeout": 0}, "timeout: is 0"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistryError, match=words) as caught:
        parse(**params)
    assert "secret" not in str(caught.value)


def test_fingerprints_are_taken_as_openssl_prints_them() -> None:
    assert parse(fingerprint=":".join(["AB"] * 32)).fingerprint == "ab" * 32


@pytest.mark.parametrize("repository", ["probe", "team/probe", "a/b/c", "a__b", "a-b.c_d", "a--b"])
def test_repositories(repository: str) -> None:
    assert parse(repository=repository).repository == repository


def test_secrets_are_not_in_the_representation() -> None:
    assert "secret" not in repr(parse(**USER))


def test_the_artifact_is_whole_and_never_changes() -> None:
    # Another digest would leave a second manifest in every registry that was probed before.
    assert hashlib.sha256(MANIFEST).hexdigest() == "c8dabdd5f9a603a9caabedbff426e27dfa744a9990f883a0287bd5f65571ca4a"
    manifest = json.loads(MANIFEST)
    for descriptor in (manifest["config"], *manifest["layers"]):
        assert descriptor["digest"] == "sha256:" + hashlib.sha256(BLOB).hexdigest()
        assert descriptor["size"] == len(BLOB)
