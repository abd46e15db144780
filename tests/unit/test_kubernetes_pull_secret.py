# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets for Kubernetes: what is in them, and names that are none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stronghold.registry.plugins.filter.kubernetes_pull_secret import kubernetes_pull_secret
from hypothesis import given
from hypothesis import strategies as st

GIVEN: dict[str, Any] = {
    "registry": "registry.lab:5000",
    "username": "moby",
    "password": "gordon",
    "name": "registry",
}


def test_a_namespace_stands_there_only_where_one_is_given() -> None:
    assert kubernetes_pull_secret(**GIVEN)["metadata"] == {"name": "registry"}
    assert kubernetes_pull_secret(**GIVEN, namespace="team")["metadata"] == {"name": "registry", "namespace": "team"}


TEXTS = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1)


@given(TEXTS, TEXTS)
def test_any_login_is_in_it_whole(username: str, password: str) -> None:
    made = kubernetes_pull_secret(**{**GIVEN, "username": username, "password": password})
    login = json.loads(base64.b64decode(made["data"][".dockerconfigjson"]))["auths"]["registry.lab:5000"]
    assert (login["username"], login["password"]) == (username, password)
    assert base64.b64decode(login["auth"]).decode() == f"{username}:{password}"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"registry": "https://registry.lab"}, "^registry: .* has a scheme"),
        ({"registry": "registry.lab/team"}, "^registry: .* has a slash"),
        ({"username": ""}, "^username and password: give both"),
        ({"password": ""}, "^username and password: give both"),
        ({"username": "mo:by"}, "^username: has a colon"),
        ({"name": ""}, "^name: ''"),
        ({"name": "Registry"}, "^name: 'Registry'"),
        ({"name": "a_b"}, "^name: 'a_b'"),
        ({"name": "a\n"}, "^name: "),
        ({"name": "a" * 254}, "^name: "),
        ({"namespace": "a.b"}, "^namespace: 'a.b'"),
        ({"namespace": "-"}, "^namespace: '-'"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(changes: dict[str, str], told: str) -> None:
    with pytest.raises(AnsibleFilterError, match=told) as error:
        kubernetes_pull_secret(**{**GIVEN, **changes})
    assert "gordon" not in str(error.value)
