# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries with keys of several types, that ask for passwords or do not, and a real pull from one."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from ._lab import REGISTRY_IMAGE, Host, command
from ._load import Registry

KEYS = {"P-256": "ec -pkeyopt ec_paramgen_curve:prime256v1", "RSA 2048": "rsa:2048", "RSA 4096": "rsa:4096"}
"""Types of keys, with how openssl is told to make them."""

COSTS = (4, 5, 10, 12)
LAYERS = 10

_FIRST_PORT = 5000
_REPOSITORY = "bench/layers"
_ANSWER = re.compile(r'"(?:GET|HEAD) /v2/\S* HTTP/[0-9.]+" ([0-9]{3})')
_CONNECTION = re.compile(r'http\.request\.remoteaddr="([^"]+)"')
_IMAGE = f"""
cd "$(mktemp -d)"
echo FROM scratch >Dockerfile
for layer in {{1..{LAYERS}}}; do
  head --bytes 4096 /dev/urandom >"$layer"
  echo "COPY $layer /" >>Dockerfile
done
"""


@dataclass(frozen=True)
class Pull:
    """What an engine asks for to pull one image, as the registry's log has it."""

    anonymous: int
    authenticated: int
    connections: int


class Fleet:
    """Registries on one host, with the same data and the same users, one for each cost."""

    def __init__(self, server: Host) -> None:
        self.password = secrets.token_hex(16)
        self._host = server
        self._users = "\n".join(
            command("htpasswd", "-nbB", "-C", str(cost), f"cost{cost}", self.password).strip() for cost in COSTS
        )
        wanted = [(key, asks) for key in KEYS for asks in (False, True)]
        self.registries = {
            (key, asks): self._start(key, asks, port) for port, (key, asks) in enumerate(wanted, _FIRST_PORT)
        }
        """By type of key, and whether it asks for a password."""

    def account(self, cost: int) -> str:
        return f"cost{cost}:{self.password}"

    def _start(self, key: str, asks: bool, port: int) -> Registry:
        registry = Registry(self._host, f"registry{port}", port)
        self._host.run(
            f"mkdir -p /srv/{port} && cd /srv/{port}\n"
            f"openssl req -x509 -newkey {KEYS[key]} -nodes -days 30 -subj /CN=registry "
            f"-addext subjectAltName=IP:{registry.address} -keyout registry.key -out registry.crt 2>/dev/null\n"
            f"cat >htpasswd <<'END'\n{self._users}\nEND\n"
            f"cat >config.yml <<'END'\n{_configuration(asks)}\nEND\n"
            f"docker run --detach --name {registry.container} --publish {port}:5000 "
            f"--volume /srv/{port}:/etc/registry:ro --volume /srv/data:/var/lib/registry "
            f"{REGISTRY_IMAGE} serve /etc/registry/config.yml"
        )
        registry.settle()
        return registry

    def push(self) -> str:
        """Push an image of ``LAYERS`` layers. Returns its manifest's path below ``/v2/``."""
        image = self._image
        output = self._host.run(
            f"mkdir -p /etc/docker/certs.d/{self._puller.authority}\n"
            f"cp /srv/{self._puller.port}/registry.crt /etc/docker/certs.d/{self._puller.authority}/ca.crt\n"
            f"docker login --username cost{COSTS[0]} --password-stdin {self._puller.authority} <<<{self.password}\n"
            f"{_IMAGE}DOCKER_BUILDKIT=0 docker build --quiet --tag {image} .\n"
            f"docker push {image}"
        )
        digest = re.search(r"digest: (sha256:[0-9a-f]{64})", output)
        if digest is None:
            raise RuntimeError(f"No digest of what was pushed: {output}")
        return f"{_REPOSITORY}/manifests/{digest[1]}"

    def pull(self) -> Pull:
        """Have the host's engine, which no longer has the image, pull it."""
        container = self._puller.container
        log = self._host.run(
            f"docker rmi --force {self._image} >/dev/null\n"
            f"before=$(docker logs {container} 2>&1 | wc -l)\n"
            f"docker pull --quiet {self._image} >/dev/null\n"
            f"sleep 1\n"
            f"docker logs {container} 2>&1 | tail -n +$((before + 1))"
        )
        answers = _ANSWER.findall(log)
        found = Pull(answers.count("401"), answers.count("200"), len(set(_CONNECTION.findall(log))))
        if found.authenticated < LAYERS:
            raise RuntimeError(f"The image was not pulled whole: {found}")
        return found

    @property
    def _puller(self) -> Registry:
        return self.registries["P-256", True]

    @property
    def _image(self) -> str:
        return f"{self._puller.authority}/{_REPOSITORY}"


def _configuration(asks: bool) -> str:
    """As the role registry_server has it."""
    users = {"auth": {"htpasswd": {"realm": "Registry Realm", "path": "/etc/registry/htpasswd"}}}
    return json.dumps(
        {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}},
            "http": {
                "addr": ":5000",
                "tls": {"certificate": "/etc/registry/registry.crt", "key": "/etc/registry/registry.key"},
            },
            **(users if asks else {}),
        }
    )
