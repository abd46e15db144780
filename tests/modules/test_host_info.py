# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info, against a real engine. Ports that containers publish are in the scenario refusals."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ._dockerd import Dockerd
from .conftest import RunModule

NOTHING = {
    "answers": False,
    "containers": {},
    "images": [],
    "missing_libraries": [],
    "paths": [],
    "port_containers": [],
    "port_programs": [],
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    with contextlib.closing(Dockerd()) as dockerd:
        dockerd.config.write_text("{}")
        dockerd.start()
        yield dockerd


def docker(engine: Dockerd, command: Any, *arguments: str) -> str:
    printed: str = command("docker", "-H", f"unix://{engine.socket}", *arguments)
    return printed.strip()


@pytest.fixture(scope="module")
def image(engine: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    subprocess.run(["tar", "--create", "--file", archive, "--directory=/etc", "hostname"], check=True)
    name = "example/team/image:1.0"
    subprocess.run(["docker", "-H", f"unix://{engine.socket}", "import", archive, name], check=True)
    return name


def told(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in NOTHING}


def test_no_engine_and_no_port(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("host_info", containers=["a"], images=["b"], docker_socket=str(tmp_path / "docker.sock"))
    assert (told(result), result["changed"]) == (NOTHING, False)


def test_containers_and_images(run_module: RunModule, command: Any, engine: Dockerd, image: str) -> None:
    made = docker(engine, command, "create", "--name=second", "--label=a.b=c", image, "/none")
    names = ["first", "second", made[:12]]
    images = ["example/other:1", image, "no@sha256:" + "0" * 64]
    for check in (True, False):
        result = run_module("host_info", check=check, containers=names, images=images, docker_socket=str(engine.socket))
        assert result["answers"] is True
        assert result["images"] == [image]
        identifier = docker(engine, command, "inspect", "--format={{.Image}}", "second")
        assert result["containers"] == {"second": {"image": identifier, "labels": {"a.b": "c"}}}


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_programs_that_listen(run_module: RunModule, tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    program = tmp_path / "squatter"
    program.symlink_to(sys.executable)
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert run_module("host_info", port=port)["port_programs"] == []
        listener.listen()
        descriptor = listener.fileno()
        holder = subprocess.Popen(
            [program, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor], close_fds=True
        )
        listener.close()
        try:
            assert run_module("host_info", port=port)["port_programs"] == ["squatter"]
        finally:
            holder.communicate()
    assert run_module("host_info", port=port)["port_programs"] == []


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_is_none(run_module: RunModule, port: int) -> None:
    assert run_module("host_info", fails=True, port=port)["msg"] == f"port: is {port}, wanted 1 to 65535."


def test_libraries_of_the_python_that_runs_it(run_module: RunModule) -> None:
    wanted = ["json", "no_such_library", "cryptography", "another_one"]
    assert run_module("host_info", libraries=wanted)["missing_libraries"] == ["no_such_library", "another_one"]


@pytest.mark.parametrize("name", ["", "python3-yaml", ".yaml", "os.path"])
def test_a_library_that_is_none(run_module: RunModule, name: str) -> None:
    told = run_module("host_info", fails=True, libraries=[name])["msg"]
    assert told == f"libraries: '{name}' is no name that Python imports; write such as yaml."


def test_paths_that_are_there(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    paths = [str(tmp_path / name) for name in ("link", "missing", "file")]
    assert run_module("host_info", paths=paths)["paths"] == [paths[0], paths[2]]
