# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_prune, against a real registry and judged by skopeo."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .images import Images
from .registry import LOOPBACK, PASSWORD, USER, Registry, RegistryFactory, registry_binary, start_registry

__all__ = ["registry_binary", "start_registry"]

DAY = 24 * 3600


class Pushed:
    """Images in a registry, pushed by skopeo."""

    def __init__(self, registry: Registry, directory: Path) -> None:
        self.registry = registry
        self.directory = directory
        self._images = Images(directory)

    def reference(self, name: str) -> str:
        return f"docker://{LOOPBACK}:{self.registry.port}/{name}"

    def push(self, name: str, *platforms: str, age: int = 0) -> None:
        """Push an image that is an index of some platforms, or one of its own, as if so many seconds ago."""
        copy = ["skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}"]
        subprocess.run([*copy, f"oci:{self._images.make(name, *platforms)}", self.reference(name)], check=True)
        repository, _colon, tag = name.partition(":")
        link = self.storage / "repositories" / repository / "_manifests" / "tags" / tag / "current" / "link"
        os.utime(link, (time.time() - age,) * 2)

    def can_be_pulled(self, name: str) -> bool:
        copy = ["skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", f"--src-creds={USER}:{PASSWORD}"]
        target = self.directory / f"pulled-{time.monotonic_ns()}"
        return subprocess.run([*copy, self.reference(name), f"dir:{target}"], check=False).returncode == 0

    @property
    def storage(self) -> Path:
        return self.registry.directory / "data" / "docker" / "registry" / "v2"


@pytest.fixture
def images(start_registry: RegistryFactory, run_module: RunModule, tmp_path: Path) -> Pushed:
    root = {"filesystem": {"rootdirectory": str(tmp_path / "data")}, "delete": {"enabled": True}}
    registry = start_registry(users=True, storage=root)
    run_module("registry_probe", **registry.probe)
    return Pushed(registry, tmp_path)


def parameters(images: Pushed, *rules: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        **images.registry.probe,
        "data_directory": str(images.registry.directory / "data"),
        "rules": rules,
        **others,
    }


def test_prunes_what_no_rule_keeps_and_nothing_else(run_module: RunModule, images: Pushed) -> None:
    for number in range(1, 5):
        images.push(f"builds/app:{number}", age=number * DAY)
    images.push("team/web:old", age=90 * DAY)
    images.push("other:old", age=90 * DAY)
    rules: list[dict[str, Any]] = [
        {"repositories": ["builds/*"], "keep_newest": 2},
        {"repositories": ["team/*"], "keep_younger_than": "30d"},
    ]
    wanted = parameters(images, *rules, always_keep=["*:stable", "team/web:old"])
    announced = run_module("registry_prune", check=True, **wanted)
    assert images.can_be_pulled("builds/app:4")
    done = run_module("registry_prune", **wanted)
    assert done["repositories"] == announced["repositories"]
    assert done["changed"] is announced["changed"] is True
    assert done["reasons"] == [f"builds/app:{number} goes: no rule keeps it" for number in (3, 4)]
    pulled = ["builds/app:1", "builds/app:2", "builds/app:3", "builds/app:4", "team/web:old", "other:old"]
    assert [images.can_be_pulled(name) for name in pulled] == [True, True, False, False, True, True]
    again = run_module("registry_prune", **wanted)
    assert (again["changed"], again["reasons"]) == (False, [])


def test_platforms_go_with_their_index_and_only_then(run_module: RunModule, images: Pushed) -> None:
    images.push("app:1", "amd64", "arm64", age=9 * DAY)
    images.push("app:2", "amd64", "arm64")
    before = len(images.registry.manifests())
    done = run_module("registry_prune", **parameters(images, {"repositories": ["app"], "keep_newest": 1}))
    assert len(done["repositories"][0]["manifests"]) == 3
    assert len(images.registry.manifests()) == before - 3
    assert (images.can_be_pulled("app:1"), images.can_be_pulled("app:2")) == (False, True)


def test_overwritten_tags_leave_manifests_that_go_when_old(run_module: RunModule, images: Pushed) -> None:
    images.push("app:latest", "amd64")
    images.push("app:latest", "amd64", "arm64")
    rule = {"repositories": ["app"], "remove_untagged_after": "1d"}
    assert run_module("registry_prune", **parameters(images, rule))["changed"] is False
    for link in (images.storage / "repositories").glob("app/_manifests/revisions/sha256/*/link"):
        os.utime(link, (time.time() - 2 * DAY,) * 2)
    done = run_module("registry_prune", **parameters(images, rule))
    # The image for amd64 is the same in both.
    assert done["repositories"][0]["untagged"] == 1
    assert images.can_be_pulled("app:latest")


def test_a_rule_that_keeps_nothing_needs_a_confirmation(run_module: RunModule, images: Pushed) -> None:
    images.push("app:1", age=9 * DAY)
    wanted = parameters(images, {"repositories": ["app"], "keep_younger_than": "1d"})
    refused = run_module("registry_prune", fails=True, **wanted)
    assert refused["msg"].startswith("rules: they keep no tag of app.")
    assert images.can_be_pulled("app:1")
    assert run_module("registry_prune", **wanted, allow_empty=True)["changed"] is True
    assert not images.can_be_pulled("app:1")


def test_a_registry_that_does_not_delete(
    run_module: RunModule, start_registry: RegistryFactory, tmp_path: Path
) -> None:
    registry = start_registry(users=True)
    run_module("registry_probe", **registry.probe)
    images = Pushed(registry, tmp_path)
    images.push("app:1", age=9 * DAY)
    images.push("app:2")
    wanted = parameters(images, {"repositories": ["app"], "keep_newest": 1})
    refused = run_module("registry_prune", fails=True, **wanted)
    assert "answers 405 UNSUPPORTED" in refused["msg"]
    assert "deletion is off, see registry_server_delete_enabled" in refused["msg"]
    assert images.can_be_pulled("app:1")
    wrong = run_module("registry_prune", fails=True, **{**wanted, "password": "wrong"})
    assert "give username and password of a user who may delete" in wrong["msg"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rules": [{"repositories": ["*"]}]}, "rules[0]: says nothing of what to keep"),
        ({"rules": [{"repositories": ["*"], "keep_younger_than": "1y"}]}, "rules[0].keep_younger_than: '1y' is no age"),
        ({"data_directory": "/nowhere"}, "data_directory: /nowhere is no directory"),
        ({"host": "https://registry.lab"}, "host: 'https://registry.lab' is neither a name nor an address"),
        ({"timeout": 0}, "timeout: is 0, wanted seconds above 0"),
        ({"password": ""}, "username and password: give both or none."),
    ],
)
def test_wrong_parameters(run_module: RunModule, tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    right = {"host": "registry.lab", "username": "moby", "password": "secret", "data_directory": str(tmp_path)}
    rules = [{"repositories": ["*"], "keep_newest": 1}]
    assert message in run_module("registry_prune", fails=True, **{**right, "rules": rules, **wrong})["msg"]
