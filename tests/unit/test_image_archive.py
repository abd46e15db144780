# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._image_archive import problem, tags


def archive(path: Path, member: str, content: str) -> str:
    with tarfile.open(path, "w") as stream:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        stream.addfile(info, io.BytesIO(content.encode()))
    return str(path)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    manifest = [{"Config": "a.json", "RepoTags": ["registry:3.1.1"], "Layers": []}]
    return archive(tmp_path / "image.tar", "manifest.json", json.dumps(manifest))


def test_names_of_the_images_are_read(saved: str) -> None:
    assert tags(saved) == ["registry:3.1.1"]


@pytest.mark.parametrize("image", ["registry:3.1.1", "library/registry:3.1.1", "docker.io/library/registry:3.1.1"])
def test_an_image_is_found_under_each_of_its_names(saved: str, image: str) -> None:
    assert problem(saved, image) is None


def test_no_tag_means_latest(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", "manifest.json", '[{"RepoTags": ["mirror.lab:5000/registry:latest"]}]')
    assert problem(path, "mirror.lab:5000/registry") is None


def test_another_image_is_refused_by_both_names(saved: str) -> None:
    found = problem(saved, "registry:2") or ""
    assert "holds registry:3.1.1, not registry:2" in found


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("hello.txt", "hello"),
        ("manifest.json", "no json"),
        ("manifest.json", '{"a": 1}'),
        ("manifest.json", '["a"]'),
        ("manifest.json", "[{}]"),
    ],
)
def test_a_tar_without_an_image_is_refused(tmp_path: Path, member: str, content: str) -> None:
    found = problem(archive(tmp_path / "image.tar", member, content), "registry:2") or ""
    assert "holds no image" in found


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_text("not an image")
    assert "is no tar archive" in (problem(str(path), "registry:2") or "")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in (problem(str(tmp_path / "none.tar"), "registry:2") or "")


def test_no_file_given_is_refused() -> None:
    assert "no file is given" in (problem("", "registry:2") or "")


def test_an_image_without_a_name_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", "manifest.json", '[{"RepoTags": null}]')
    assert "without a name" in (problem(path, "registry:2") or "")


def with_config(path: Path, config: str) -> str:
    manifest = [{"Config": "a.json", "RepoTags": ["registry:3.1.1"], "Layers": []}]
    with tarfile.open(path, "w") as stream:
        for name, content in (("manifest.json", json.dumps(manifest)), ("a.json", config)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            stream.addfile(info, io.BytesIO(content.encode()))
    return str(path)


def test_an_image_for_other_processors(tmp_path: Path) -> None:
    path = with_config(tmp_path / "image.tar", '{"architecture": "arm64"}')
    assert problem(path, "registry:3.1.1") is None
    assert problem(path, "registry:3.1.1", "arm64") is None
    assert problem(path, "registry:3.1.1", "amd64") == (
        f"{path} holds registry:3.1.1 for arm64, and the host is amd64; make an archive for amd64."
    )


def test_an_image_that_does_not_say_for_which_processors(tmp_path: Path) -> None:
    assert problem(with_config(tmp_path / "image.tar", "{}"), "registry:3.1.1", "amd64") is None


@pytest.mark.parametrize("config", ["", "[]", "{"])
def test_an_image_whose_configuration_is_damaged(tmp_path: Path, config: str) -> None:
    found = problem(with_config(tmp_path / "image.tar", config), "registry:3.1.1", "amd64")
    assert found is not None
    assert "is damaged: it does not say for which processors" in found
