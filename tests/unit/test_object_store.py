# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a store is, and what its answers are about."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._object_store import endpoint, explain, place


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"region": "eu-central-1"}, None),
        ({"regionendpoint": ""}, None),
        ({"regionendpoint": "https://store.lab:8333"}, "https://store.lab:8333"),
        ({"regionendpoint": "http://store.lab"}, "http://store.lab"),
        ({"regionendpoint": "store.lab:8333"}, "https://store.lab:8333"),
        ({"regionendpoint": "store.lab:8333", "secure": False}, "http://store.lab:8333"),
        ({"regionendpoint": "https://store.lab", "secure": False}, "https://store.lab"),
    ],
)
def test_endpoint(settings: dict[str, Any], url: str | None) -> None:
    assert endpoint(settings) == url


def test_place_of_amazons_own() -> None:
    assert place({"region": "eu-central-1"}) == "Amazon S3 in eu-central-1"


@pytest.mark.parametrize(
    ("code", "setting"),
    [
        ("InvalidAccessKeyId", "accesskey"),
        ("SignatureDoesNotMatch", "secretkey"),
        ("AuthorizationHeaderMalformed", "region"),
        ("PermanentRedirect", "region"),
        ("RequestTimeTooSkewed", "the clocks"),
        ("AccessDenied", "accesskey"),
        ("InvalidBucketName", "bucket"),
    ],
)
def test_explain_names_the_setting(code: str, setting: str) -> None:
    said = explain(code, "In its own words.")
    assert said.startswith(setting)
    assert said.endswith(f"({code}: In its own words)")


def test_explain_what_nobody_foresaw() -> None:
    assert explain("SlowDown", "Please reduce your request rate.") == "SlowDown: Please reduce your request rate"
    assert explain("", "Connect timeout on endpoint URL.") == "Connect timeout on endpoint URL"
