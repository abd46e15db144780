# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module object_store, at a real S3 store (SeaweedFS)."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage, damage, needed
from ansible_collections.stronghold.registry.plugins.module_utils._stored_files import BucketFiles

from ..unit.storage import Warehouse
from .conftest import RunModule
from .registry import Authority

# An address of its own, so that the ports need not be free on others.
ADDRESS, PORT = "127.9.0.1", 8333
URL = f"https://{ADDRESS}:{PORT}"
SECRET = "a secret of the store's"


class Store:
    """A store that runs, with TLS and one account that may do anything."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory, self.authority = directory, authority
        self.settings = {
            "regionendpoint": URL,
            "region": "us-east-1",
            "bucket": "images",
            "accesskey": "registry",
            "secretkey": SECRET,
            "rootdirectory": "/below",
        }

    @property
    def params(self) -> dict[str, Any]:
        return {"settings": self.settings, "ca_certificate": self.authority.pem, "timeout": 5}

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.settings["regionendpoint"],
            region_name="us-east-1",
            aws_access_key_id="registry",
            aws_secret_access_key=SECRET,
            verify=str(self.authority.directory / "ca.crt"),
        )

    def keys(self, bucket: str) -> list[str]:
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("store")
    authority = Authority(directory).create()
    authority.sign("leaf", f"IP:{ADDRESS}")
    (directory / "data").mkdir()
    account = {"credentials": [{"accessKey": "registry", "secretKey": SECRET}], "actions": ["Admin"]}
    reader = {"credentials": [{"accessKey": "reader", "secretKey": SECRET}], "actions": ["Read", "List"]}
    (directory / "accounts.json").write_text(
        json.dumps({"identities": [{"name": "registry", **account}, {"name": "reader", **reader}]})
    )
    found = Store(directory, authority)
    options = {
        "dir": "data",
        "ip": ADDRESS,
        "ip.bind": ADDRESS,
        "s3.config": "accounts.json",
        "s3.cert.file": "leaf.crt",
        "s3.key.file": "leaf.key",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        # Each bucket takes several.
        "volume.max": 100,
    }
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            ["weed", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())],
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, directory / "log")
        yield found
    finally:
        # Asked to end, it waits for its clients.
        process.kill()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    for _attempt in range(300):
        assert process.poll() is None, log.read_text()[-2000:]
        with socket.socket() as connection:
            if connection.connect_ex((ADDRESS, PORT)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(log.read_text()[-2000:])


def test_a_clock_that_is_wrong(run_module: RunModule, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAKETIME", "+2h")
    told = run_module("object_store", fails=True, **store.params)["msg"]
    assert "the clocks of this host and of the store are too far apart" in told


def test_a_bucket_is_made_once_and_nothing_left_in_it(run_module: RunModule, store: Store) -> None:
    params = {**store.params, "settings": {**store.settings, "bucket": "made"}}
    refused = run_module("object_store", **params, fails=True)
    assert "bucket: 'made' is not there" in refused["msg"]
    assert "create" in refused["msg"]
    foreseen = run_module("object_store", **params, create=True, check=True)
    assert foreseen["changed"]
    made = run_module("object_store", **params, create=True)
    assert made["changed"]
    assert made["reasons"] == [f"bucket: 'made' is not there at {URL}"]
    again = run_module("object_store", **params, create=True)
    assert not again["changed"]
    assert not run_module("object_store", **params)["changed"]
    assert store.keys("made") == []


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"accesskey": "nobody"}, "accesskey: "),
        ({"secretkey": "of another store"}, "secretkey: does not belong to the accesskey"),
        ({"accesskey": "reader"}, "accesskey: this account may not do that"),
        ({"regionendpoint": f"https://{ADDRESS}:9"}, f"https://{ADDRESS}:9: can't reach it"),
        ({"bucket": ""}, "bucket is missing"),
    ],
)
def test_names_what_is_wrong(run_module: RunModule, store: Store, setting: dict[str, str], complaint: str) -> None:
    run_module("object_store", **store.params, create=True)
    params = {**store.params, "settings": {**store.settings, **setting}}
    refused = run_module("object_store", **params, fails=True)
    assert complaint in refused["msg"]
    assert SECRET not in json.dumps(refused)
    assert "of another store" not in json.dumps(refused)


def test_a_store_that_is_not_trusted(run_module: RunModule, store: Store) -> None:
    refused = run_module("object_store", **{**store.params, "ca_certificate": ""}, fails=True)
    assert "certificate verify failed" in refused["msg"].lower()
    run_module("object_store", settings={**store.settings, "skipverify": True}, create=True)


def test_a_store_that_speaks_no_tls(run_module: RunModule, store: Store) -> None:
    plain = {**store.settings, "regionendpoint": f"{ADDRESS}:{PORT}", "secure": False}
    refused = run_module("object_store", **{**store.params, "settings": plain}, fails=True)
    assert f"http://{ADDRESS}:{PORT}" in refused["msg"]


@pytest.mark.parametrize("root", ["", "/", "/below/this"])
def test_a_bucket_reads_as_a_directory_does(run_module: RunModule, store: Store, tmp_path: Path, root: str) -> None:
    bucket = f"read{len(root)}"
    run_module("object_store", **{**store.params, "settings": {**store.settings, "bucket": bucket}}, create=True)
    warehouse = Warehouse(tmp_path)
    warehouse.image("team/app", "a", "1", "2")
    warehouse.index(
        "team/app/below", [warehouse.image("team/app/below", "b"), warehouse.image("team/app/below", "c")], "all"
    )
    broken = warehouse.image("broken", "d", "x")
    for blob in warehouse.top.glob("blobs/sha256/*/*/data"):
        if b"layer of d" in blob.read_bytes():
            blob.unlink()

    def put(path: Path) -> None:
        key = f"{root}/{path.relative_to(tmp_path)}".strip("/")
        store.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    for path in tmp_path.rglob("*"):
        if path.is_file():
            put(path)
    local = Storage(str(tmp_path))
    remote = Storage(root.strip("/"), BucketFiles(store.client, bucket, root))
    assert remote.repositories() == local.repositories() == ["broken", "team/app", "team/app/below"]
    assert sorted(remote.blobs()) == sorted(local.blobs())
    assert damage(remote, content=True) == damage(local, content=True) != []
    assert needed(remote) == needed(local)
    for repository in local.repositories():
        assert remote.revisions(repository).keys() == local.revisions(repository).keys()
        assert [(tag.name, tag.digest) for tag in remote.tags(repository)] == [
            (tag.name, tag.digest) for tag in local.tags(repository)
        ]
    assert remote.tags("broken")[0].digest == broken
    assert abs(remote.tags("broken")[0].pushed - time.time()) < 60
    # What comes later is seen when it is asked for.
    warehouse.image("team/app", "e", "3")
    for path in (warehouse.top / "repositories" / "team" / "app").rglob("link"):
        put(path)
    assert [tag.name for tag in remote.tags("team/app")] == ["1", "2"]
    remote.refresh("team/app")
    assert [tag.name for tag in remote.tags("team/app")] == ["1", "2", "3"]
    assert remote.repositories() == ["broken", "team/app", "team/app/below"]


# The module registry_storage_copy


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path / "data")
    found.image("team/app", "a", "1", "2")
    found.index("team/all", [found.image("team/all", "b"), found.image("team/all", "c")], "all")
    return found


def copied(store: Store, bucket: str, warehouse: Warehouse) -> dict[str, Any]:
    params = {key: value for key, value in store.params.items() if key != "timeout"}
    return {**params, "settings": {**store.settings, "bucket": bucket}, "data_directory": str(warehouse.root)}


def test_images_are_copied_and_compared(run_module: RunModule, store: Store, warehouse: Warehouse) -> None:
    params = copied(store, "copied", warehouse)
    run_module("object_store", settings=params["settings"], ca_certificate=params["ca_certificate"], create=True)
    foreseen = run_module("registry_storage_copy", **params, check=True)
    assert foreseen["reasons"] == [
        "team/all: the bucket lacks 1 tags and 3 manifests",
        "team/app: the bucket lacks 2 tags and 1 manifests",
        "blobs: the bucket lacks 10",
    ]
    assert store.keys("copied") == []
    (warehouse.top / "repositories/team/app/_uploads/1").mkdir(parents=True)
    (warehouse.top / "repositories/team/app/_uploads/1/data").write_text("half of a layer")
    done = run_module("registry_storage_copy", **params)
    assert done["changed"]
    assert done["reasons"] == foreseen["reasons"]
    assert SECRET not in json.dumps(done)
    assert all(key.startswith("below/docker/registry/v2/") for key in store.keys("copied"))
    assert not [key for key in store.keys("copied") if "_uploads" in key]
    assert not run_module("registry_storage_copy", **params)["changed"]
    # What prune goes by: when a tag was pushed, not when it was copied.
    there = Storage("below", BucketFiles(store.client, "copied", "below"))
    assert [tag.pushed for tag in there.tags("team/app")] == pytest.approx(
        [tag.pushed for tag in Storage(str(warehouse.root)).tags("team/app")]
    )
    warehouse.image("team/app", "d", "2")
    again = run_module("registry_storage_copy", **params)
    assert again["reasons"] == ["team/app: the bucket lacks 1 tags and 1 manifests", "blobs: the bucket lacks 3"]


def test_an_object_that_is_damaged_in_the_bucket_is_found(
    run_module: RunModule, store: Store, warehouse: Warehouse
) -> None:
    params = copied(store, "damaged", warehouse)
    run_module("object_store", settings=params["settings"], ca_certificate=params["ca_certificate"], create=True)
    run_module("registry_storage_copy", **params)
    key = next(key for key in store.keys("damaged") if key.endswith("/data"))
    size = store.client.head_object(Bucket="damaged", Key=key)["ContentLength"]
    store.client.put_object(Bucket="damaged", Key=key, Body=b"x" * size)
    refused = run_module("registry_storage_copy", **params, fails=True)
    assert "can't be pulled that can be here" in refused["msg"]


def test_what_has_moved_is_left_alone(
    run_module: RunModule, store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    params = copied(store, "moved", warehouse)
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"storage": {"s3": params["settings"]}}))
    done = run_module("registry_storage_copy", **params, config_path=str(config))
    assert done["moved"]
    assert not done["changed"]
    config.write_text(json.dumps({"storage": {"filesystem": {}}}))
    assert not run_module("registry_storage_copy", **params, config_path=str(config), check=True, fails=True).get(
        "moved"
    )


def test_what_is_too_long_or_gone_is_not_read(run_module: RunModule, store: Store) -> None:
    run_module("object_store", **{**store.params, "settings": {**store.settings, "bucket": "long"}}, create=True)
    store.client.put_object(Bucket="long", Key="long", Body=b"x" * (17 << 20))
    store.client.put_object(Bucket="long", Key="gone", Body=b"x")
    files = BucketFiles(store.client, "long", "")
    assert files.names("") == ["gone", "long"]
    with pytest.raises(RegistryError, match="longer than 16 MiB"):
        files.read("long")
    store.client.delete_object(Bucket="long", Key="gone")
    assert files.read("gone") is None


def test_a_bucket_that_is_not_there(run_module: RunModule, store: Store, warehouse: Warehouse) -> None:
    refused = run_module("registry_storage_copy", **copied(store, "nowhere", warehouse), fails=True)
    assert "NoSuchBucket" in refused["msg"]
    refused = run_module(
        "registry_storage_copy", **{**copied(store, "nowhere", warehouse), "data_directory": "/nowhere"}, fails=True
    )
    assert refused["msg"] == "data_directory: /nowhere is no directory."
