# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook kubernetes_secret, judged by kubectl."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "kubernetes_secret.yml"


def play(directory: Path, **variables: Any) -> str:
    """Run the playbook with this machine for the registry's, and return what it printed, as chatty as it gets."""
    inventory = directory / "inventory.yml"
    hosts = {"registry.lab": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}
    given = {
        "registry_endpoint_host": "registry.lab",
        "registry_auth_users": [{"name": "moby", "password": "gordon's"}],
        **variables,
    }
    inventory.write_text(json.dumps({"registry_servers": {"hosts": hosts}, "all": {"vars": given}}))
    done = subprocess.run(
        ["ansible-playbook", "--inventory", str(inventory), "-vvv", "--diff", str(PLAYBOOK)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.stdout + done.stderr


def by_kubectl() -> dict[str, Any]:
    login = ["--docker-server=registry.lab:5000", "--docker-username=moby", "--docker-password=gordon's"]
    command = ["kubectl", "create", "secret", "docker-registry", "registry", "--namespace=team", *login]
    made = subprocess.run([*command, "--dry-run=client", "-o", "json"], capture_output=True, text=True, check=True)
    secret: dict[str, Any] = json.loads(made.stdout)
    del secret["metadata"]["creationTimestamp"]
    return secret


def test_the_secret_is_the_one_that_kubectl_makes(tmp_path: Path) -> None:
    printed = play(tmp_path, registry_client_kubernetes_secret_namespace="team")
    path = tmp_path / ".stronghold" / "registry" / "kubernetes-secret.yml"
    assert yaml.safe_load(path.read_text()) == by_kubectl()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "gordon" not in printed
    assert "changed=2" in printed
    assert "changed=0" in play(tmp_path, registry_client_kubernetes_secret_namespace="team")


def test_it_is_printed_only_where_that_is_asked(tmp_path: Path) -> None:
    printed = play(tmp_path, registry_client_kubernetes_secret_file="-")
    assert "dockerconfigjson" in printed
    assert not (tmp_path / ".stronghold").exists()


def test_a_registry_without_users_needs_none(tmp_path: Path) -> None:
    printed = play(tmp_path, registry_endpoint_authentication="none")
    assert "there is none to put into a secret" in printed
    assert not (tmp_path / ".stronghold").exists()
