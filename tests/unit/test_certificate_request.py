# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.filter.certificate_parameter_problems import (
    certificate_parameter_problems,
)
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_request import parse_request
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

SECRET = "correct horse battery"
SERVER = {"path": "/c/s.crt", "privatekey_path": "/c/s.key", "names": ["registry.lab"]}
CA = {"path": "/c/ca.crt", "privatekey_path": "/c/ca.key", "usage": "ca", "subject": {"CN": "CA"}}
SIGNED = {**SERVER, "ca_path": "/c/ca.crt", "ca_privatekey_path": "/c/ca.key"}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({**SERVER, "key_type": "rsa", "key_size": 1024}, "key_size: 1024"),
    ({**SERVER, "key_type": "rsa", "key_size": 2047}, "key_size: 2047"),
    ({**SERVER, "key_type": "rsa", "key_size": 8193}, "key_size: 8193"),
    ({**SERVER, "key_size": 1024}, "key_size: 1024 is not the size of a curve"),
    ({**SERVER, "key_size": 4096}, "key_size: 4096"),
    ({**SERVER, "key_size": -1}, "key_size: -1"),
    ({**SERVER, "key_size": "large"}, "key_size: 'large' is not a whole number"),
    ({**SERVER, "key_type": "ed25519"}, "key_type: 'ed25519'"),
    ({**SERVER, "key_type": ["rsa"]}, "key_type"),
    ({**SERVER, "names": ["http://x"]}, "names: 'http://x'"),
    ({**SERVER, "names": "registry.lab"}, "names must be a list"),
    ({**SERVER, "names": []}, "names is empty"),
    ({**SERVER, "names": None}, "names is empty"),
    ({**CA, "names": ["registry.lab"]}, "names: a CA has none"),
    ({**SERVER, "days": -1}, "days is -1"),
    ({**SERVER, "days": 0}, "days is 0"),
    ({**SERVER, "days": 1_000_000}, "days is 1000000"),
    ({**SERVER, "days": "a year"}, "days: 'a year' is not a whole number"),
    ({**SERVER, "days": True}, "days: 'True'"),
    ({**SERVER, "days": 1.5}, "days: '1.5'"),
    ({**SERVER, "days": "--5"}, "days: '--5'"),
    ({**SERVER, "renew_before": -1}, "renew_before is -1"),
    ({**SERVER, "renew_before": 397}, "renew_before is 397 and days is 397"),
    ({**SERVER, "days": 30}, "make renew_before smaller than days"),
    ({**SERVER, "usage": "client"}, "usage: 'client'"),
    ({**SERVER, "usage": ["ca"]}, "usage"),
    ({**CA, "subject": {}}, "subject is empty: a CA needs one"),
    ({**SERVER, "subject": {"CN": "a" * 65}}, "subject: CN has 65 characters"),
    ({**SERVER, "names": ["a" * 60 + ".example"]}, "too long to be its CN"),
    ({**SERVER, "ca_path": "/c/ca.crt"}, "ca_privatekey_path is missing"),
    ({**SERVER, "ca_privatekey_path": "/c/ca.key"}, "ca_path is missing"),
    ({**CA, "ca_path": "/c/a", "ca_privatekey_path": "/c/b"}, "a CA is self-signed here"),
    ({**SERVER, "chain": True}, "chain: a self-signed certificate"),
    ({**SERVER, "privatekey_path": "/c/s.crt"}, "must be different files"),
    ({**SIGNED, "path": "/c/ca.crt"}, "must be different files"),
    ({**SERVER, "privatekey_passphrase": ""}, "privatekey_passphrase is empty"),
    ({**SERVER, "privatekey_passphrase": SECRET * 60}, "over 1023 bytes"),
    ({**SERVER, "privatekey_passphrase": 12345}, "privatekey_passphrase is not a text"),
    ({**SIGNED, "ca_privatekey_passphrase": ""}, "ca_privatekey_passphrase is empty"),
]


@pytest.mark.parametrize(("params", "message"), WRONG)
def test_wrong_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistryError) as raised:
        parse_request(params)
    assert message in str(raised.value)
    assert SECRET not in str(raised.value)
    assert certificate_parameter_problems(params) == [str(raised.value)]


@pytest.mark.parametrize("params", [None, [], "names", 3])
def test_no_mapping(params: object) -> None:
    assert certificate_parameter_problems(params) == [
        "The parameters of a certificate must be a mapping, such as {names: [registry.lab]}."
    ]


@pytest.mark.parametrize("params", [SERVER, CA, SIGNED, {"names": ["a.lab"]}, {"state": "absent"}])
def test_nothing_wrong(params: dict[str, Any]) -> None:
    assert certificate_parameter_problems(params) == []


@pytest.mark.parametrize(
    ("key_type", "size", "found"),
    [
        ("ecdsa", None, "ecdsa 256"),
        ("rsa", None, "rsa 4096"),
        ("ecdsa", 384, "ecdsa 384"),
        ("ecdsa", "521", "ecdsa 521"),
        ("rsa", 2048, "rsa 2048"),
        ("rsa", "8192", "rsa 8192"),
    ],
)
def test_kinds_of_keys(key_type: str, size: object, found: str) -> None:
    assert str(parse_request({**SERVER, "key_type": key_type, "key_size": size}).kind) == found


def test_defaults() -> None:
    request = parse_request({"names": ["*.Registry.lab", "10.0.0.1"]})
    assert request.template.subject == (("CN", "*.registry.lab"),)
    assert (request.template.usage, request.template.days, request.renew_before) == ("server", 397, 30)
    assert not request.force
    assert not request.chain


def test_digits_are_numbers_as_templates_give_them() -> None:
    request = parse_request({**SERVER, "days": "90", "renew_before": "0"})
    assert (request.template.days, request.renew_before) == (90, 0)


def test_passphrases_are_not_in_its_representation() -> None:
    request = parse_request({**SIGNED, "privatekey_passphrase": SECRET, "ca_privatekey_passphrase": SECRET})
    assert SECRET not in repr(request)
