# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real registries: Debian's binary as a process of the test, with certificates by openssl and users by htpasswd.

Nothing waits for one to be up: the probe does.
"""

from __future__ import annotations

import contextlib
import copy
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .packages import binary

HOST = "registry.test"
LOOPBACK = "127.0.0.1"
USER, PASSWORD = "moby", "a whale of a password"


@pytest.fixture(scope="session")
def registry_binary() -> Path:
    """The binary of Debian's package docker-registry."""
    return binary("docker-registry")


@dataclass(frozen=True)
class Authority:
    """A CA with its files in a directory."""

    directory: Path
    name: str = "ca"

    @property
    def pem(self) -> str:
        return (self.directory / f"{self.name}.crt").read_text()

    def create(self) -> Authority:
        self._openssl(
            *(
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "30",
            ),
            *("-keyout", f"{self.name}.key", "-out", f"{self.name}.crt", "-subj", f"/CN={self.name}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        return self

    def sign(self, name: str, san: str, *validity: str) -> None:
        """Make NAME.key and NAME.crt for the given SANs; *validity* is for ``openssl ca``, by default ten days."""
        self._openssl(
            *(
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=leaf",
            ),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        (self.directory / "index.txt").write_text("")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca = ca_default\n[ca_default]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = policy\n[policy]\ncommonName = supplied\n"
            f"[leaf]\nbasicConstraints = critical,CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = {san}\n"
        )
        self._openssl(
            *(
                "ca",
                "-batch",
                "-notext",
                "-config",
                "ca.cnf",
                "-extensions",
                "leaf",
                *(validity or ("-days", "10")),
            ),
            *("-cert", f"{self.name}.crt", "-keyfile", f"{self.name}.key", "-in", f"{name}.csr"),
            *("-out", f"{name}.crt"),
        )

    def _openssl(self, *arguments: str) -> None:
        _run("openssl", *arguments, cwd=self.directory)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path).create()


@dataclass(frozen=True)
class Registry:
    """A running registry, and how to probe it."""

    directory: Path
    port: int
    probe: dict[str, Any] = field(default_factory=dict)

    def manifests(self) -> list[str]:
        """The manifests in its storage, by digest, of all repositories."""
        revisions = (self.directory / "data").glob("**/_manifests/revisions/sha256/*/link")
        return [link.parent.name for link in revisions]


class RegistryFactory:
    """Starts registries with configurations that the module registry_config wrote, and stops them at the end."""

    def __init__(self, binary: Path, directory: Path, run_module: RunModule, stack: contextlib.ExitStack) -> None:
        self._binary = binary
        self._directory = directory
        self._run_module = run_module
        self._stack = stack

    def __call__(self, *, certificate: str = "", users: bool = False, **changes: Any) -> Registry:
        """Start one: *certificate* names its files, *users* lets only moby in, *changes* go into the sections."""
        port = free_port()
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._directory / "data")}},
            "http": {"addr": f"{LOOPBACK}:{port}"},
        }
        if certificate:
            files = {"certificate": f"{certificate}.crt", "key": f"{certificate}.key"}
            config["http"]["tls"] = {key: str(self._directory / name) for key, name in files.items()}
        if users:
            path = self._directory / "htpasswd"
            _run("htpasswd", "-B", "-b", "-c", "-C", "4", str(path), USER, PASSWORD, cwd=self._directory)
            config["auth"] = {"htpasswd": {"realm": "the lab", "path": str(path)}}
        for section, values in changes.items():
            config[section] = {**config.get(section, {}), **values}
        self.start(config)
        return Registry(self._directory, port, _parameters(self._directory, port, certificate, users))

    def start(self, config: dict[str, Any], major: int = 2) -> subprocess.Popen[bytes]:
        path = self._directory / "config.yml"
        self._run_module("registry_config", path=str(path), config=copy.deepcopy(config), major=major)
        log = self._stack.enter_context((self._directory / "registry.log").open("ab"))
        # Variables of the environment (REGISTRY_*, AWS_*) would count as configuration.
        process = subprocess.Popen([self._binary, "serve", path], stdout=log, stderr=log, env={})
        self._stack.callback(_stop, process)
        return process


def _parameters(directory: Path, port: int, certificate: str, users: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {"host": HOST, "address": LOOPBACK, "port": port, "security": "insecure"}
    if certificate:
        parameters |= {"security": "tls", "ca_certificate": Authority(directory).pem}
    if users:
        parameters |= {"username": USER, "password": PASSWORD}
    return parameters


@pytest.fixture
def start_registry(registry_binary: Path, tmp_path: Path, run_module: RunModule) -> Iterator[RegistryFactory]:
    with contextlib.ExitStack() as stack:
        yield RegistryFactory(registry_binary, tmp_path, run_module, stack)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=30)


def _run(*command: str, cwd: Path) -> None:
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert process.returncode == 0, f"{command}: {process.stdout}{process.stderr}"
