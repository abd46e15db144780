# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is deleted while others push. With a real registry: tests/modules/test_registry_prune.py."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._prune import Pruning
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Reply
from ansible_collections.stronghold.registry.plugins.module_utils._retention import parse_rules
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage
from ansible_collections.stronghold.registry.tests.unit.storage import Warehouse


class Deleting:
    """Takes manifests and their tags away, as a registry does, while somebody pushes."""

    endpoint = "registry.lab:5000"

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.deleted: list[str] = []

    def request(self, method: str, path: str, **_params: Any) -> Reply:
        digest = path.rpartition("/")[2]
        manifests = self.warehouse.top / "repositories" / "app" / "_manifests"
        (manifests / "revisions" / "sha256" / digest.removeprefix("sha256:") / "link").unlink()
        for tag in manifests.glob("tags/*/current/link"):
            if tag.read_text() == digest:
                tag.unlink()
        self.deleted.append(digest)
        self.warehouse.image("app", f"pushed meanwhile {len(self.deleted)}", f"v{len(self.deleted)}")
        assert method == "DELETE"
        return Reply(http.client.ACCEPTED, {}, b"")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def pruning(warehouse: Warehouse, client: Any) -> Pruning:
    rules = parse_rules([{"repositories": ["*"], "keep_tags": ["v*"]}])
    return Pruning(rules, (), Storage(str(warehouse.root)), client, None)


def test_all_that_an_index_had_goes_though_others_push(warehouse: Warehouse) -> None:
    children = [warehouse.image("app", name) for name in ("amd64", "arm64")]
    index = warehouse.index("app", children, "1")
    signature = warehouse.image("app", "signature", f"{index.replace(':', '-')}.sig")
    client = Deleting(warehouse)
    each = pruning(warehouse, client)
    (planned,) = each.plans()
    each.delete(planned)
    assert sorted(client.deleted) == sorted([index, signature, *children])
    assert sorted(planned.manifests) == sorted(client.deleted)


def test_what_is_needed_again_meanwhile_stays(warehouse: Warehouse) -> None:
    child = warehouse.image("app", "amd64")
    warehouse.index("app", [child], "1")
    client = Deleting(warehouse)
    each = pruning(warehouse, client)
    (planned,) = each.plans()
    kept = warehouse.index("app", [child, warehouse.image("app", "arm64")], "v0")
    each.delete(planned)
    assert child not in client.deleted
    assert kept not in client.deleted
