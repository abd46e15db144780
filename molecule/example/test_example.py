# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The infrastructure repository in docs/example does what it says, by the playbook and by single roles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, CLIENT = "example-server", "example-client"
NAMES = {"registry.example.org": SERVER, "build01.example.org": CLIENT}
SERVER_NAME = next(iter(NAMES))
REGISTRY = "registry.example.org:5000"
COLUMNS = 80


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, whose hosts are the lab's, and for once have the registry's image from a package."""
    copy = tmp_path_factory.mktemp("infrastructure") / "repository"
    shutil.copytree(Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "docs" / "example", copy)
    ways = {
        name: {"ansible_connection": "community.docker.docker", "ansible_user": "root", "ansible_host": host}
        for name, host in NAMES.items()
    }
    (copy / "host_vars").mkdir()
    for name, way in ways.items():
        variables = {**way, "registry_server_image_source": "package"}
        (copy / "host_vars" / f"{name}.yml").write_text(yaml.safe_dump(variables))
    (copy / "password").write_text("example\n")
    return copy


def play(repository: Path, playbook: str, *options: str) -> str:
    command = ["ansible-playbook", "-i", "inventory.yml", "--vault-password-file=password", *options, playbook]
    done = subprocess.run(
        command,
        cwd=repository,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def recap(output: str) -> list[str]:
    return [line for line in output[output.index("PLAY RECAP") :].splitlines()[1:] if line]


def test_the_playbook(lab: Lab, repository: Path) -> None:
    summary = "--extra-vars=registry_server_summary_file=summary.json"
    said = play(repository, "site.yml", summary)
    assert all("changed=0" in line for line in recap(play(repository, "site.yml", summary)))
    told = json.loads((repository / "summary.json").read_text())
    assert (told["address"], told["users"], told["servers"]) == (REGISTRY, ["moby", "robot"], [SERVER_NAME])
    assert told["proven_by_push"] is True
    words = said[said.index("- Registry  ") : said.index("TASK [", said.index("- Registry  "))]
    # Where the repository is, is as long as it is.
    assert max(len(line) for line in words.splitlines() if str(repository) not in line) <= COLUMNS, words
    image = f"{REGISTRY}/builds/app:1"
    lab.on(CLIENT, f"echo some >file; tar -c file | docker import - {image}; docker push {image}")
    assert "stronghold-registry-backup.timer" in lab.on(SERVER, "systemctl list-timers --no-legend")


def test_single_roles_change_nothing_then(repository: Path) -> None:
    assert all("changed=0" in line for line in recap(play(repository, "hosts.yml")))


def test_single_roles_from_nothing(lab: Lab, repository: Path) -> None:
    play(repository, "stronghold.registry.teardown")
    play(repository, "hosts.yml")
    assert all("changed=0" in line for line in recap(play(repository, "hosts.yml")))
    lab.on(CLIENT, f"docker rmi {REGISTRY}/builds/app:1; docker pull {REGISTRY}/builds/app:1")
