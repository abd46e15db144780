# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the storage of a registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._storage import (
    DamageError,
    Descriptor,
    Storage,
    Tag,
    damage,
    needed,
    parse_manifest,
)
from ansible_collections.stronghold.registry.tests.unit.storage import IMAGE, Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_an_empty_registry(storage: Storage) -> None:
    assert storage.repositories() == []
    assert storage.tags("any") == []
    assert storage.revisions("any") == {}
    assert list(storage.blobs()) == []
    assert damage(storage) == []


def test_repositories_may_lie_below_others(warehouse: Warehouse, storage: Storage) -> None:
    for name in ("team", "team/app", "team/app/web", "a"):
        warehouse.image(name, name, "1")
    assert storage.repositories() == ["a", "team", "team/app", "team/app/web"]


def test_tags_with_their_times(warehouse: Warehouse, storage: Storage) -> None:
    old = warehouse.image("app", "old", "1", "first", pushed=1000)
    new = warehouse.image("app", "new", "2", pushed=2000)
    assert storage.tags("app") == [Tag("1", old, 1000), Tag("2", new, 2000), Tag("first", old, 1000)]
    assert storage.revisions("app") == {old: 1000, new: 2000}


def test_a_deleted_manifest_leaves_an_empty_directory(warehouse: Warehouse, storage: Storage) -> None:
    digest = warehouse.image("app", "gone", "1")
    manifests = warehouse.top / "repositories" / "app" / "_manifests"
    (manifests / "revisions" / "sha256" / digest.removeprefix("sha256:") / "link").unlink()
    (manifests / "tags" / "1" / "current" / "link").unlink()
    assert (storage.tags("app"), storage.revisions("app")) == ([], {})


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc/passwd", b"sha256:short", b"sha256:" + b"A" * 64])
def test_links_that_are_none(warehouse: Warehouse, storage: Storage, content: bytes) -> None:
    warehouse.image("app", "x", "1")
    (warehouse.top / "repositories" / "app" / "_manifests" / "tags" / "1" / "current" / "link").write_bytes(content)
    assert storage.tags("app") == []


@pytest.mark.parametrize("digest", ["", "sha256", "sha256:../../../etc/passwd", "sha256:" + "g" * 64, "x" * 500])
def test_digests_that_are_none(storage: Storage, digest: str) -> None:
    with pytest.raises(DamageError, match="is no digest"):
        storage.blob_path(digest)


def test_all_blobs_with_their_sizes(warehouse: Warehouse, storage: Storage) -> None:
    first, second = warehouse.blob(b"one"), warehouse.blob(b"three")
    assert dict(storage.blobs()) == {first["digest"]: 3, second["digest"]: 5}


def test_a_manifest_of_an_image(warehouse: Warehouse, storage: Storage) -> None:
    manifest = storage.manifest(warehouse.image("app", "x", "1"))
    assert [blob.size for blob in manifest.blobs] == [len("config of x"), len("layer of x")]
    assert manifest.children == ()


def test_layers_that_lie_elsewhere_are_not_needed() -> None:
    layer = {"digest": "sha256:" + "a" * 64, "size": 1, "urls": ["https://example.com/layer"]}
    assert parse_manifest("d", json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()).blobs == ()


@pytest.mark.parametrize("media_type", [IMAGE, "application/vnd.docker.distribution.manifest.v2+json"])
def test_keys_of_another_kind_of_manifest_mean_nothing(media_type: str) -> None:
    content = {"schemaVersion": 2, "mediaType": media_type, "layers": [], "blobs": ["x"], "manifests": [{}]}
    manifest = parse_manifest("d", json.dumps(content).encode())
    assert (manifest.blobs, manifest.children) == ((), ())


def test_a_tag_whose_manifest_was_deleted_is_found(warehouse: Warehouse, storage: Storage) -> None:
    digest = warehouse.image("app", "x", "1")
    (warehouse.top / f"repositories/app/_manifests/revisions/sha256/{digest[7:]}/link").unlink()
    assert damage(storage) == [f"app:1 can't be pulled: manifest {digest} was deleted."]


def test_a_manifest_of_the_first_schema() -> None:
    digest = "sha256:" + "a" * 64
    content = json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": digest}, {"blobSum": digest}]}).encode()
    assert parse_manifest("d", content).blobs == (Descriptor(digest),)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"1", b'{"config": 1}', b'{"manifests": [{}]}', b'{"layers": [{"size": 1}]}']
)
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(DamageError, match="manifest d is none"):
        parse_manifest("d", content)


def test_whole_images_can_be_pulled(warehouse: Warehouse, storage: Storage) -> None:
    images = [warehouse.image("app", platform) for platform in ("amd64", "arm64")]
    warehouse.index("app", [warehouse.index("app", images)], "1")
    assert damage(storage) == []
    assert damage(storage, content=True) == []


def test_what_is_missing_is_found_below_indexes(warehouse: Warehouse, storage: Storage) -> None:
    image = warehouse.image("app", "arm64")
    warehouse.index("app", [image], "1", "latest")
    warehouse.image("other", "fine", "1")
    layer = storage.manifest(image).blobs[1].digest
    warehouse.blob_path(layer).unlink()
    assert damage(storage) == [
        f"app:1 can't be pulled: blob {layer} is not there.",
        f"app:latest can't be pulled: blob {layer} is not there.",
    ]
    warehouse.blob_path(image).unlink()
    assert damage(storage)[0] == f"app:1 can't be pulled: manifest {image} is not there."


def test_what_was_cut_off_or_exchanged_is_found(warehouse: Warehouse, storage: Storage) -> None:
    image = warehouse.image("app", "x", "1")
    layer = storage.manifest(image).blobs[1]
    path = warehouse.blob_path(layer.digest)
    path.write_bytes(b"X" * (layer.size or 0))
    assert damage(storage) == []
    assert damage(storage, content=True) == [f"app:1 can't be pulled: blob {layer.digest} has another content."]
    path.write_bytes(b"X")
    assert damage(storage) == [f"app:1 can't be pulled: blob {layer.digest} has 1 bytes instead of {layer.size}."]
    warehouse.blob_path(image).write_bytes(b"{}")
    assert damage(storage) == [f"app:1 can't be pulled: manifest {image} has another content."]


def deep(levels: int) -> bytes:
    return b'{"schemaVersion": 2, "x": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "content",
    [
        deep(100_000),
        b'{"schemaVersion": 2, "subject": {"digest": ["x"]}}',
        b'{"schemaVersion": 2, "subject": {"digest": "../x"}}',
        b'{"schemaVersion": 2, "subject": "x"}',
        b'{"schemaVersion": 2, "layers": [{"digest": "x", "size": 1e400}]}',
        b'{"schemaVersion": 2, "manifests": {"digest": "x"}}',
    ],
)
def test_what_a_hostile_pusher_may_send(content: bytes) -> None:
    try:
        assert parse_manifest("d", content).subject == ""
    except DamageError:
        return


def test_a_manifest_that_is_too_long(warehouse: Warehouse, storage: Storage) -> None:
    digest = warehouse.image("app", "x", "1")
    with warehouse.blob_path(digest).open("ab") as file:
        file.truncate(20 * 2**20)
    assert damage(storage) == [f"app:1 can't be pulled: manifest {digest} is none."]


def test_a_builds_cache_can_be_pulled(warehouse: Warehouse, storage: Storage) -> None:
    layer = {**warehouse.blob(b"not json"), "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    warehouse.manifest("cache", {"schemaVersion": 2, "manifests": [layer, layer]}, "1")
    assert damage(storage) == []
    assert layer["digest"] in needed(storage)
    warehouse.blob_path(layer["digest"]).unlink()
    assert damage(storage) == [f"cache:1 can't be pulled: blob {layer['digest']} is not there."]


def test_sizes_that_a_manifest_leaves_out(warehouse: Warehouse, storage: Storage) -> None:
    layer = {"digest": warehouse.blob(b"layer")["digest"]}
    warehouse.manifest("app", {"schemaVersion": 2, "config": layer, "layers": [layer]}, "1")
    assert damage(storage) == []


def test_what_tags_need(warehouse: Warehouse, storage: Storage) -> None:
    image = warehouse.image("app", "x")
    index = warehouse.index("app", [image], "1")
    untagged = warehouse.image("app", "y")
    found = needed(storage)
    assert {index, image, *(blob.digest for blob in storage.manifest(image).blobs)} == set(found)
    assert set(found.values()) == {"app:1"}
    assert untagged not in found


def test_indexes_nested_deeper_than_python_recurses(warehouse: Warehouse, storage: Storage) -> None:
    digest = warehouse.image("app", "x")
    for _level in range(1500):
        digest = warehouse.index("app", [digest])
    warehouse.index("app", [digest], "deep")
    assert damage(storage) == []
