# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules swarm_files and swarm_rollout, against a real swarm of one node."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ._dockerd import Dockerd
from .conftest import RunModule

IMAGE = "stronghold/registry-package:2"


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    with contextlib.closing(Dockerd()) as dockerd:
        dockerd.config.write_text("{}")
        dockerd.start()
        yield dockerd


class Swarm:
    """A swarm as the docker client sees it."""

    def __init__(self, engine: Dockerd, command: Any, run_module: RunModule) -> None:
        self.engine, self._command, self._run_module = engine, command, run_module

    def docker(self, *arguments: str) -> str:
        printed: str = self._command("docker", "-H", f"unix://{self.engine.socket}", *arguments)
        return printed.strip()

    def files(self, *, check: bool = False, fails: bool = False, **params: Any) -> dict[str, Any]:
        given = {"service": "registry", "docker_socket": str(self.engine.socket), **params}
        return self._run_module("swarm_files", check=check, fails=fails, **given)

    def rollout(self, *, fails: bool = False, **params: Any) -> dict[str, Any]:
        given = {"service": "registry", "nodes": 1, "docker_socket": str(self.engine.socket), **params}
        return self._run_module("swarm_rollout", fails=fails, **given)

    def names(self) -> set[str]:
        """All secrets and configs that there are."""
        shape = "--format={{.Name}}"
        return set(self.docker("secret", "ls", shape).split() + self.docker("config", "ls", shape).split())


@pytest.fixture
def swarm(engine: Dockerd, command: Any, run_module: RunModule) -> Swarm:
    made = Swarm(engine, command, run_module)
    if made.docker("info", "--format={{.Swarm.LocalNodeState}}") == "inactive":
        made.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1")
    return made


def test_no_swarm(engine: Dockerd, run_module: RunModule) -> None:
    params: dict[str, Any] = {"service": "registry", "docker_socket": str(engine.socket)}
    told = run_module("swarm_files", fails=True, files=[], **params)["msg"]
    assert told.startswith("The Docker engine refuses GET /secrets: This node is not a swarm manager.")
    told = run_module("swarm_rollout", fails=True, nodes=1, **params)["msg"]
    assert told.startswith("The Docker engine refuses GET /services/registry: This node is not a swarm manager.")


def test_no_engine(run_module: RunModule, tmp_path: Path) -> None:
    params: dict[str, Any] = {"service": "registry", "files": [], "docker_socket": str(tmp_path / "docker.sock")}
    assert "no Docker engine answers there" in run_module("swarm_files", fails=True, **params)["msg"]


def test_files_become_secrets_and_configs(swarm: Swarm, tmp_path: Path) -> None:
    key, certificate = tmp_path / "registry.key", tmp_path / "registry.crt"
    key.write_text("the key")
    certificate.write_text("the certificate")
    files = [
        {"path": str(key), "target": "/certs/registry.key"},
        {"path": str(certificate), "target": "/certs/registry.crt", "secret": False},
    ]
    before = swarm.names()
    announced = swarm.files(check=True, files=files)
    assert swarm.names() == before
    done = swarm.files(files=files, uid=65532)
    assert (
        announced["reasons"]
        == done["reasons"]
        == [f"{path}: the swarm has not this content" for path in (key, certificate)]
    )
    (secret,), (config,) = done["secrets"], done["configs"]
    assert {key: secret[key] for key in ("filename", "uid", "gid", "mode")} == {
        "filename": "/certs/registry.key",
        "uid": "65532",
        "gid": "65532",
        "mode": 0o400,
    }
    assert config["mode"] == 0o444
    told = json.loads(swarm.docker("secret", "inspect", secret["secret_name"]))[0]
    assert told["ID"] == secret["secret_id"]
    assert told["Spec"]["Labels"] == {"stronghold.registry": "registry"}
    assert "Data" not in told["Spec"]
    shown = swarm.docker("config", "inspect", "--pretty", config["config_name"])
    assert shown.endswith("the certificate")
    settled = swarm.files(files=files, uid=65532)
    assert (settled["changed"], settled["secrets"], settled["configs"]) == (False, done["secrets"], done["configs"])


def test_a_file_that_is_not_there(swarm: Swarm) -> None:
    told = swarm.files(fails=True, files=[{"path": "/none", "target": "/none"}])["msg"]
    assert told == "files: /none is not there; make it first."


@pytest.fixture(scope="module")
def image(engine: Dockerd) -> str:
    """A registry's image, made as the role registry_server does."""
    script = Path(__file__).parents[2] / "roles/registry_server/files/build_image.sh"
    environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}
    subprocess.run([script, IMAGE], check=True, capture_output=True, env=environment)
    return IMAGE


def test_a_service_is_followed(swarm: Swarm, image: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    files = [{"path": str(config), "target": "/etc/registry/config.yml"}]

    def configure(port: int) -> str:
        config.write_text(f"version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
        (secret,) = swarm.files(files=files, purge=True)["secrets"]
        return str(secret["secret_name"])

    def update(former: str, secret: str, *options: str) -> None:
        target = f"source={secret},target=/etc/registry/config.yml"
        change = [f"--secret-rm={former}", f"--secret-add={target}"] if secret != former else []
        swarm.docker("service", "update", "--detach", "--no-resolve-image", *change, *options, "registry")

    assert "service registry not found" in swarm.rollout(fails=True)["msg"]
    first = configure(5001)
    swarm.docker(
        *("service", "create", "--detach", "--no-resolve-image", "--name=registry", "--mode=global"),
        *("--update-failure-action=rollback", "--update-monitor=2s", "--restart-delay=100ms"),
        *(f"--secret=source={first},target=/etc/registry/config.yml", image, "serve", "/etc/registry/config.yml"),
    )
    assert swarm.rollout()["nodes"] == [socket.gethostname()]
    # What the service was is kept, and what it was before that is not.
    second = configure(5002)
    assert {first, second} <= swarm.names()
    update(first, second)
    assert swarm.rollout()["changed"] is False
    assert swarm.files(files=files, purge=True)["changed"] is False
    third = configure(5003)
    assert {first, second, third} <= swarm.names()
    update(second, third)
    swarm.rollout()
    assert configure(5003) == third
    # Only with something new, so that a run without a change stays one.
    assert first in swarm.names()
    fourth = configure(5004)
    assert {second, third, fourth} <= swarm.names()
    assert first not in swarm.names()
    assert configure(5003) == third

    update(third, third, "--image=example/none:1")
    failed = swarm.rollout(fails=True)
    assert failed["gone_back"] is True
    assert "went back to what it ran before" in failed["msg"]
    assert "No such image: example/none:1" in failed["msg"]
    assert (
        swarm.docker("service", "inspect", "--format={{.Spec.TaskTemplate.ContainerSpec.Image}}", "registry") == image
    )

    update(third, third, "--update-failure-action=pause", "--args=serve /none")
    failed = swarm.rollout(fails=True, timeout=60)
    assert failed["gone_back"] is False
    assert "could neither run it so nor go back" in failed["msg"]

    swarm.docker("service", "rm", "registry")
    assert swarm.files(files=[], purge=True)["changed"] is True
    assert not [name for name in swarm.names() if "config.yml" in name]
