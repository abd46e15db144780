# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_image, between real registries and archives, judged by skopeo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .images import Images
from .registry import (
    LOOPBACK,
    PASSWORD,
    USER,
    Authority,
    Registry,
    RegistryFactory,
    authority,
    registry_binary,
    start_registry,
)

__all__ = ["authority", "registry_binary", "start_registry"]


@pytest.fixture
def target(start_registry: RegistryFactory, authority: Authority, run_module: RunModule) -> Registry:
    """A registry with TLS and users."""
    authority.sign("leaf", f"DNS:registry.test,IP:{LOOPBACK}")
    registry = start_registry(certificate="leaf", users=True)
    run_module("registry_probe", **registry.probe)
    return registry


def parameters(target: Registry, source: str, **others: Any) -> dict[str, Any]:
    return {
        "registry": f"{LOOPBACK}:{target.port}",
        "name": "team/app:1",
        "source": source,
        "ca_certificate": target.probe["ca_certificate"],
        "username": USER,
        "password": PASSWORD,
        **others,
    }


def raw(command: Any, target: Registry, name: str) -> str:
    reference = f"docker://{LOOPBACK}:{target.port}/{name}"
    options = ["--tls-verify=false", f"--creds={USER}:{PASSWORD}"]
    told: str = command("skopeo", "inspect", "--raw", *options, reference)
    return told


def test_all_platforms_come_with_their_digests(
    run_module: RunModule, command: Any, target: Registry, tmp_path: Path
) -> None:
    layout = Images(tmp_path).make("app", "amd64", "arm64")
    wanted = parameters(target, f"oci:{layout}")
    announced = run_module("registry_image", check=True, **wanted)
    assert (announced["changed"], announced["digest"]) == (True, None)
    assert announced["reasons"] == ["team/app:1: is not there"]
    done = run_module("registry_image", **wanted)
    assert done["changed"] is True
    assert [
        image["platform"]["architecture"] for image in json.loads(raw(command, target, "team/app:1"))["manifests"]
    ] == [
        "amd64",
        "arm64",
    ]
    assert done["digest"] == Images.digest(layout)
    again = run_module("registry_image", **wanted)
    assert (again["changed"], again["reasons"], again["digest"]) == (False, [], done["digest"])


def test_another_image_takes_its_place(run_module: RunModule, target: Registry, tmp_path: Path) -> None:
    images = Images(tmp_path)
    run_module("registry_image", **parameters(target, f"oci:{images.make('first')}"))
    second = images.make("second")
    done = run_module("registry_image", **parameters(target, f"oci:{second}"))
    assert done["reasons"][0].startswith("team/app:1: is sha256:")
    assert done["digest"] == Images.digest(second)


def test_from_another_registry(run_module: RunModule, command: Any, target: Registry, tmp_path: Path) -> None:
    layout = Images(tmp_path).make("app", "amd64", "arm64")
    first = parameters(target, f"oci:{layout}", name="first/app:1")
    digest = run_module("registry_image", **first)["digest"]
    # The source is verified like any registry, by the system's CAs, which do not know this one.
    source = f"docker://{LOOPBACK}:{target.port}/first/app:1"
    login = {"source_username": USER, "source_password": PASSWORD}
    refused = run_module("registry_image", fails=True, **parameters(target, source, **login))
    assert "certificate" in refused["msg"]
    archive = tmp_path / "app.tar"
    command(
        "skopeo",
        "copy",
        "--all",
        "--src-tls-verify=false",
        f"--src-creds={USER}:{PASSWORD}",
        source,
        f"oci-archive:{archive}",
    )
    done = run_module("registry_image", **parameters(target, f"oci-archive:{archive}", name="second/app:1"))
    assert done["digest"] == digest


def test_what_was_interrupted_goes_on(
    run_module: RunModule, command: Any, start_registry: RegistryFactory, tmp_path: Path
) -> None:
    registry = start_registry(users=True, log={"level": "warn", "accesslog": {"disabled": False}})
    run_module("registry_probe", **registry.probe)
    layout = Images(tmp_path).make("app", "amd64", "arm64", ballast=500_000_000)
    wanted: dict[str, Any] = {
        "registry": f"{LOOPBACK}:{registry.port}",
        "name": "team/app:1",
        "source": f"oci:{layout}",
        "security": "insecure",
        "username": USER,
        "password": PASSWORD,
    }
    before = set(registry.manifests())
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.stronghold.registry.plugins.modules.registry_image"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": wanted}).encode())
    process.stdin.close()
    # The small image is there, and the big one on its way.
    while not set(registry.manifests()) - before:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (first,) = set(registry.manifests()) - before
    done = run_module("registry_image", **wanted)
    assert (done["changed"], done["digest"]) == (True, Images.digest(layout))
    assert run_module("registry_image", **wanted)["changed"] is False
    small = json.loads((layout / "blobs" / "sha256" / first).read_text())["layers"][0]["digest"]
    log = (registry.directory / "registry.log").read_text()
    assert len(re.findall(rf'"PUT /v2/team/app/blobs/uploads/\S*digest={small.replace(":", "%3A")}', log)) == 1


def test_what_an_engine_saved_is_copied_once(
    run_module: RunModule, command: Any, target: Registry, tmp_path: Path
) -> None:
    layout = Images(tmp_path).make("app")
    archive = tmp_path / "saved.tar"
    command("skopeo", "copy", f"oci:{layout}", f"docker-archive:{archive}:app:1")
    wanted = parameters(target, f"docker-archive:{archive}")
    assert run_module("registry_image", **wanted)["changed"] is True
    assert run_module("registry_image", **wanted)["changed"] is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"registry": "https://registry.lab"}, "registry: "),
        ({"name": "team/app"}, "name: 'team/app' is no name with a tag"),
        ({"name": "Team/App:1"}, "name: 'Team/App:1' is no name with a tag"),
        ({"source": "alpine:3"}, "source: 'alpine:3' is no reference of skopeo; begin with one of docker:"),
        ({"source": "oci:/nowhere"}, "oci:/nowhere cannot be read: "),
        ({"username": ""}, "username and password: give both or none."),
        ({"source_username": "moby"}, "source_username and source_password: give both or none."),
        ({"registry": f"{LOOPBACK}:1"}, f"docker://{LOOPBACK}:1/team/app:1 cannot be read: "),
    ],
)
def test_wrong_parameters(run_module: RunModule, tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    right = {
        "registry": f"{LOOPBACK}:9",
        "name": "team/app:1",
        "source": f"oci:{Images(tmp_path).make('app')}",
        "username": USER,
        "password": PASSWORD,
    }
    refused = run_module("registry_image", fails=True, **{**right, **wrong})
    assert refused["msg"].startswith(message)


def test_a_wrong_password(run_module: RunModule, target: Registry, tmp_path: Path) -> None:
    layout = Images(tmp_path).make("app")
    refused = run_module("registry_image", fails=True, **parameters(target, f"oci:{layout}", password="wrong"))
    assert "unauthorized" in refused["msg"] or "authentication required" in refused["msg"]
    assert PASSWORD not in json.dumps(refused)
