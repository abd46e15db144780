# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are kept, and that nothing goes which a kept one needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._retention import (
    Plan,
    Repository,
    Rule,
    parse_age,
    parse_rules,
    plan,
    read_repository,
    rule_for,
)
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Descriptor, Manifest, Storage, Tag
from ansible_collections.stronghold.registry.tests.unit.storage import Warehouse
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_000_000_000.0
DAY = 24 * 3600


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def planned(warehouse: Warehouse, *always_keep: str, repository: str = "app", **rule: Any) -> Plan:
    (parsed,) = parse_rules([{"repositories": ["*"], **rule}])
    return plan(read_repository(Storage(str(warehouse.root)), repository), parsed, always_keep, NOW)


@pytest.mark.parametrize(("text", "seconds"), [("36h", 36 * 3600), ("30d", 30 * DAY), ("4w", 28 * DAY), ("0d", 0)])
def test_ages(text: str, seconds: int) -> None:
    assert parse_age(text, "x") == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "30 d", "1y", "1d2h", 30])
def test_ages_that_are_none(text: object) -> None:
    with pytest.raises(RegistryError, match=r"^x: '.*' is no age; write such as"):
        parse_age(text, "x")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"repositories": [], "keep_newest": 1}, r"^rules\[0\]\.repositories: is empty"),
        ({"repositories": ["*"]}, r"^rules\[0\]: says nothing"),
        ({"repositories": ["*"], "keep_newest": 0}, r"^rules\[0\]: says nothing"),
        ({"repositories": ["*"], "keep_newest": -1}, r"^rules\[0\]\.keep_newest: is -1"),
        ({"repositories": ["*"], "keep_younger_than": "1y"}, r"^rules\[0\]\.keep_younger_than: '1y' is no age"),
        ({"repositories": ["*"], "remove_untagged_after": "x"}, r"^rules\[0\]\.remove_untagged_after: 'x' is no age"),
    ],
)
def test_rules_that_are_none(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        parse_rules([rule])


def test_the_first_rule_counts_and_without_one_nothing_happens() -> None:
    builds, team = Rule(("builds/*",), keep_newest=1), Rule(("builds/app", "team/*"), keep_newest=2)
    assert rule_for("builds/app", (builds, team)) is builds
    assert rule_for("builds/a/b", (builds, team)) is builds
    assert rule_for("team/x", (builds, team)) is team
    assert rule_for("other", (builds, team)) is None


def test_the_newest_are_kept_by_the_time_of_their_push(warehouse: Warehouse) -> None:
    digests = {str(n): warehouse.image("app", str(n), str(n), pushed=NOW - n * DAY) for n in range(1, 6)}
    result = planned(warehouse, keep_newest=2)
    assert result.kept == {"1": "one of the newest 2", "2": "one of the newest 2"}
    assert result.pruned == dict.fromkeys(["3", "4", "5"], "no rule keeps it")
    assert sorted(result.manifests) == sorted(digests[tag] for tag in "345")


def test_tags_pushed_at_the_same_time_are_not_told_apart(warehouse: Warehouse) -> None:
    for n in range(4):
        warehouse.image("app", str(n), str(n), pushed=NOW)
    assert planned(warehouse, keep_newest=1).pruned == {}


def test_any_reason_keeps(warehouse: Warehouse) -> None:
    warehouse.image("app", "young", "young", pushed=NOW - DAY)
    warehouse.image("app", "release", "v1.0", pushed=NOW - 90 * DAY)
    warehouse.image("app", "stable", "stable", pushed=NOW - 90 * DAY)
    warehouse.image("app", "old", "old", pushed=NOW - 90 * DAY)
    result = planned(warehouse, "*:stable", keep_younger_than="30d", keep_tags=["v*"])
    assert result.kept == {"stable": "always kept", "v1.0": "its name is kept", "young": "pushed 1 day ago"}
    assert list(result.pruned) == ["old"]


def test_an_image_with_a_kept_tag_keeps_all_of_its_tags(warehouse: Warehouse) -> None:
    warehouse.image("app", "same", "latest", "17", pushed=NOW)
    result = planned(warehouse, keep_tags=["latest"])
    assert result.kept == {"latest": "its name is kept", "17": "a kept tag needs the same manifest"}
    assert result.manifests == []


def test_what_a_kept_index_stands_for_is_kept(warehouse: Warehouse) -> None:
    amd, arm = (warehouse.image("app", name, name) for name in ("amd64", "arm64"))
    warehouse.index("app", [warehouse.index("app", [amd, arm])], "latest")
    result = planned(warehouse, keep_tags=["latest"], remove_untagged_after="0d")
    assert (result.pruned, result.manifests) == ({}, [])


def test_an_index_goes_before_what_it_stands_for(warehouse: Warehouse) -> None:
    amd, arm = (warehouse.image("app", name) for name in ("amd64", "arm64"))
    shared = warehouse.image("app", "shared")
    old = warehouse.index("app", [amd, arm, shared], "old")
    warehouse.index("app", [shared], "latest")
    result = planned(warehouse, keep_tags=["latest"])
    assert result.manifests[0] == old
    assert sorted(result.manifests[1:]) == sorted([amd, arm])


def test_what_has_no_tag_stays_unless_asked_and_old(warehouse: Warehouse) -> None:
    warehouse.image("app", "tagged", "1", pushed=NOW)
    old = warehouse.image("app", "old", pushed=NOW - 8 * DAY)
    warehouse.image("app", "just being pushed", pushed=NOW - 60)
    assert planned(warehouse, keep_newest=9).manifests == []
    result = planned(warehouse, remove_untagged_after="7d")
    assert (result.manifests, result.untagged, list(result.kept)) == ([old], 1, ["1"])


def test_signatures_stay_and_go_with_what_they_belong_to(warehouse: Warehouse) -> None:
    kept, gone = warehouse.image("app", "kept", "v1"), warehouse.image("app", "gone", "17")
    for digest in (kept, gone):
        name = digest.replace(":", "-")
        signature = warehouse.image("app", f"signature of {name}", f"{name}.sig")
        warehouse.image("app", f"signature of {signature}", f"{signature.replace(':', '-')}.sig")
    result = planned(warehouse, keep_tags=["v*"])
    assert len(result.kept) == len(result.pruned) == 3
    assert f"{kept.replace(':', '-')}.sig" in result.kept
    assert result.pruned[f"{gone.replace(':', '-')}.sig"] == f"belongs to {gone[:19]}, which goes"


def test_a_signature_goes_with_its_image_however_new_it_is(warehouse: Warehouse) -> None:
    gone = warehouse.image("app", "old", "v1", pushed=NOW - 20 * DAY)
    warehouse.image("app", "kept", "v2", pushed=NOW - DAY)
    attestation = f"{gone.replace(':', '-')}.att"
    warehouse.image("app", "scanned again", attestation, pushed=NOW - 3 * DAY)
    assert list(planned(warehouse, keep_younger_than="14d").pruned) == ["v1", attestation]


def test_signatures_that_are_left_do_not_hide_that_all_images_would_go(warehouse: Warehouse) -> None:
    warehouse.image("app", "x", "1")
    warehouse.image("app", "signature of something elsewhere", f"sha256-{'0' * 64}.att")
    assert planned(warehouse, keep_tags=["v*"]).empties()
    assert not planned(warehouse, keep_tags=["1"]).empties()


def test_signatures_of_what_is_elsewhere_or_stays_without_a_tag_stay(warehouse: Warehouse) -> None:
    overwritten = warehouse.image("app", "still deployed by its digest", pushed=NOW - 2 * DAY)
    warehouse.image("app", "new", "latest", pushed=NOW)
    elsewhere = f"sha256-{'0' * 64}.sig"
    attached = f"{overwritten.replace(':', '-')}.sig"
    for name in (elsewhere, attached):
        warehouse.image("app", f"signature {name}", name, pushed=NOW - 90 * DAY)
    result = planned(warehouse, keep_newest=1, remove_untagged_after="30d")
    assert (result.pruned, result.manifests) == ({}, [])
    result = planned(warehouse, keep_newest=1, remove_untagged_after="1d")
    assert list(result.pruned) == [attached]
    assert overwritten in result.manifests
    assert planned(warehouse, "*:*", remove_untagged_after="1d").pruned == {}


def test_layers_in_an_index_are_no_manifests(warehouse: Warehouse) -> None:
    layer = {
        **warehouse.blob(b"a layer of a build's cache"),
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    }
    warehouse.manifest("cache", {"schemaVersion": 2, "manifests": [layer]}, "build")
    assert planned(warehouse, repository="cache", keep_tags=["build"]).kept == {"build": "its name is kept"}


def test_referrers_without_a_tag_stay_with_their_subject(warehouse: Warehouse) -> None:
    kept = warehouse.image("app", "kept", "v1")
    warehouse.image("app", "a bill of materials", subject=kept)
    orphan = warehouse.image("app", "another", subject="sha256:" + "0" * 64)
    result = planned(warehouse, keep_tags=["v*"], remove_untagged_after="0d")
    assert result.manifests == [orphan]


def test_where_a_manifest_is_damaged_all_stays(warehouse: Warehouse) -> None:
    child = warehouse.image("app", "child of the damaged one")
    digest = warehouse.index("app", [child], "1")
    warehouse.image("app", "y", "2")
    warehouse.blob_path(digest).write_bytes(b"garbled")
    result = planned(warehouse, keep_tags=["v*"], remove_untagged_after="0d")
    assert result.manifests == []
    assert result.kept == dict.fromkeys(["1", "2"], "a manifest here is damaged, so nobody knows what it needs")


DIGESTS = st.integers(0, 7).map(lambda number: f"sha256:{number:064x}")


@st.composite
def repositories(draw: st.DrawFn) -> Repository:
    """Any repository: indexes of indexes, cycles and dangling children too, which a registry would refuse."""
    manifests = {
        digest: Manifest(
            digest,
            children=tuple(map(Descriptor, draw(st.lists(DIGESTS, max_size=3, unique=True)))),
            subject=draw(st.one_of(st.just(""), DIGESTS)),
        )
        for digest in draw(st.sets(DIGESTS))
    }
    times = st.integers(0, int(NOW)).map(float)
    names = st.one_of(st.sampled_from("abcdef"), DIGESTS.map(lambda digest: digest.replace(":", "-") + ".sig"))
    tags = [Tag(name, draw(DIGESTS), draw(times)) for name in sorted(draw(st.sets(names)))]
    return Repository("app", tuple(tags), manifests, {digest: draw(times) for digest in manifests})


RULES = st.builds(
    Rule,
    repositories=st.just(("*",)),
    keep_newest=st.integers(0, 3),
    keep_younger_than=st.one_of(st.none(), st.integers(0, int(NOW))),
    keep_tags=st.sets(st.sampled_from("abcdef"), max_size=2).map(tuple),
    remove_untagged_after=st.one_of(st.none(), st.integers(0, int(NOW))),
)


@given(repositories(), RULES)
def test_nothing_goes_that_a_kept_tag_needs(repository: Repository, rule: Rule) -> None:
    result = plan(repository, rule, (), NOW)
    assert sorted([*result.kept, *result.pruned]) == [tag.name for tag in repository.tags]
    needed = {tag.digest for tag in repository.tags if tag.name in result.kept}
    pending = list(needed)
    while pending:
        manifest = repository.manifests.get(pending.pop())
        for child in manifest.children if manifest else ():
            if child.digest not in needed:
                needed.add(child.digest)
                pending.append(child.digest)
    assert needed.isdisjoint(result.manifests)
    assert set(result.manifests) <= set(repository.manifests)
    # And what is told to go does go, unless indexes that stand for each other hold it.
    assert len(result.manifests) == len(set(result.manifests))
