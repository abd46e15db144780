# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry on a host without a route, installed by a controller without a network from one archive."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.tests.modules.images import Images

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER = "airgap-server"
REGISTRY = "172.31.250.2:5000"
LAB = Path(__file__).parents[2] / "build" / "lab" / "airgap"
INVENTORY = Path(__file__).parents[1] / "inventory"


def run(*command: str | Path, fails: bool = False, **environment: str) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert (done.returncode != 0) is fails, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image for two platforms, as a layout."""
    return Images(tmp_path_factory.mktemp("images")).make("base", "amd64", "arm64")


@pytest.fixture(scope="module")
def bundle(lab: Lab, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, made with a network, and unpacked where there is none."""
    if (LAB / "bundle").exists():
        shutil.rmtree(LAB / "bundle")
    seeds = [{"name": "base/image:1", "source": f"oci:{image}"}]
    assert lab.play("--check", playbook="bundle", registry_maintenance_images=seeds).changes != ()
    assert not (LAB / "bundle").exists()
    lab.play(playbook="bundle", registry_maintenance_images=seeds)
    directory = tmp_path_factory.mktemp("unpacked")
    run("tar", "--extract", "--file", LAB / "bundle" / "stronghold-registry-amd64.tar", "--directory", directory)
    shutil.rmtree(LAB / "bundle")
    return directory / "stronghold-registry-amd64"


def play(bundle: Path, playbook: str, *options: str, network: bool = False) -> str:
    """Run a playbook of the bundle's collection with the bundle's Ansible; without a network, but for the lab's own."""
    variables = ["-e", f"@{bundle}/variables.yml", "-e", f"registry_maintenance_bundle={bundle}"]
    given = ["--inventory", str(INVENTORY), "--limit", "airgap", *variables, *options]
    return run(
        *([] if network else ["unshare", "--net"]),
        bundle / "venv" / "bin" / "ansible-playbook",
        *given,
        f"stronghold.registry.{playbook}",
        ANSIBLE_COLLECTIONS_PATH=str(bundle / "collections"),
        # None of this repository's settings.
        ANSIBLE_CONFIG=str(bundle / "ansible.cfg"),
        ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3",
        PYTHONPATH="",
    )


def test_the_host_has_no_route(lab: Lab) -> None:
    assert lab.on(SERVER, "ip route show default") == ""


def test_the_bundle_is_whole_and_says_what_it_is(bundle: Path) -> None:
    run("sh", "-c", f"cd {bundle} && sha256sum --check --strict --quiet checksums")
    listed = {line.split("  ")[1] for line in (bundle / "checksums").read_text().splitlines()}
    there = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert listed == there - {"checksums"}
    assert "docker.io" in json.loads((bundle / "packages.json").read_text())["Debian 12"]
    assert not (bundle / "collections" / "ansible_collections" / "stronghold" / "registry" / "tests").exists()


def test_it_installs_without_a_network(bundle: Path, lab: Lab) -> None:
    (bundle / "ansible.cfg").touch()
    run("python3", "-m", "venv", bundle / "venv")
    (pip,) = [line for line in (bundle / "README").read_text().splitlines() if "pip install" in line]
    run("unshare", "--net", "sh", "-c", f"cd {bundle} && {pip}")
    assert "changed=0 " not in play(bundle, "site")
    assert "changed=0 " in play(bundle, "site")
    assert lab.on(SERVER, "docker inspect --format '{{.Config.Image}}' registry") == "example/registry:2"


def test_images_are_seeded_once_with_their_digests(bundle: Path, image: Path) -> None:
    assert "changed=1 " in play(bundle, "seed", "--check", network=True)
    assert "changed=1 " in play(bundle, "seed", network=True)
    assert "changed=0 " in play(bundle, "seed", network=True)
    login = ["--tls-verify=false", "--creds=moby:gordon"]
    raw = run("skopeo", "inspect", "--raw", *login, f"docker://{REGISTRY}/base/image:1")
    assert [each["platform"]["architecture"] for each in json.loads(raw)["manifests"]] == ["amd64", "arm64"]
    digest = run("skopeo", "inspect", "--no-tags", "--format={{.Digest}}", *login, f"docker://{REGISTRY}/base/image:1")
    assert digest.strip() == Images.digest(image)


def test_a_bundle_for_other_processors_is_refused(lab: Lab, image: Path, tmp_path: Path) -> None:
    other: dict[str, Any] = {
        "registry_maintenance_bundle_image_source": f"oci:{image}",
        "registry_maintenance_bundle_architecture": "arm64",
        "registry_maintenance_bundle_directory": str(tmp_path),
        "registry_maintenance_bundle_collections": [],
    }
    lab.play(playbook="bundle", **other)
    run("tar", "--extract", "--file", tmp_path / "stronghold-registry-arm64.tar", "--directory", tmp_path)
    archive: dict[str, Any] = {
        "registry_server_image_source": "archive",
        "registry_server_image_archive": str(tmp_path / "stronghold-registry-arm64" / "image.tar"),
    }
    refused = lab.play(fails=True, **archive)
    assert "holds example/registry:2 for arm64, and the host is amd64" in " ".join(refused.output.split())
    assert refused.changes == ()


def test_what_cannot_be_had_leaves_no_bundle(lab: Lab, tmp_path: Path) -> None:
    failed = lab.play(
        playbook="bundle",
        fails=True,
        registry_maintenance_bundle_image_source="oci:/nowhere",
        registry_maintenance_bundle_directory=str(tmp_path),
    )
    assert "oci:/nowhere cannot be had" in " ".join(failed.output.split())
    assert list(tmp_path.iterdir()) == []
