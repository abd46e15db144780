# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the cluster act with: its hosts, clients that push and pull, and what balancers think."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("docker.distribution.manifest.v2", "docker.distribution.manifest.list.v2", "oci.image.index.v1")
)


@dataclass(frozen=True)
class Operation:
    """A push or pull by a real client; *said* is empty where it went well."""

    what: str
    begun: float
    ended: float
    said: str


class Cluster:
    """Three replicas as one registry."""

    host = "cluster.lab"
    registry = f"{host}:5000"
    replicas = ("cluster-server1", "cluster-server2", "cluster-server3")
    balancers = ("cluster-balancer1", "cluster-balancer2")
    store, client = "cluster-store", "cluster-client"
    ca = f"/etc/docker/certs.d/{registry}/ca.crt"
    curl = f"curl --silent --show-error --fail --max-time 20 --user moby:gordon --cacert {ca}"
    workers = 2
    """How many clients push and pull at once under load."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @contextmanager
    def load(self, *balancers: str) -> Iterator[list[Operation]]:
        """Clients push and pull all the while. The list is filled in the end."""
        for balancer in balancers or self.balancers:
            self.wait_for_states("UP", 30, balancer)
        # Where no search for secrets comes across files that are gone in a moment.
        self.on_client("rm -rf /run/load; mkdir /run/load")
        script = (Path(__file__).parent / "load.py").read_text()
        self.on_client(f"cat >/run/load/load.py <<'END'\n{script}\nEND\n")
        self.on_client(
            "systemd-run --unit=load --collect --setenv=TMPDIR=/run/load"
            " --property=StandardOutput=file:/run/load/operations"
            f" python3 /run/load/load.py {self.registry} /run/load {self.workers}",
        )
        operations: list[Operation] = []
        try:
            yield operations
        finally:
            self.on_client("touch /run/load/stop; while systemctl is-active --quiet load; do sleep 0.5; done")
            lines = self.on_client("cat /run/load/operations").splitlines()
            operations += [Operation(**json.loads(line)) for line in lines]

    def on_client(self, script: str, *, fails: bool = False) -> str:
        return self.lab.on(self.client, script, fails=fails)

    def push(self, image: str) -> str:
        """Push an image of random content with docker, and forget it. Returns how docker calls it."""
        name = f"{self.registry}/{image}"
        self.on_client(
            f"""
            cd $(mktemp -d)
            head --bytes=100000 /dev/urandom >random
            tar -c random | docker import - {name}
            docker push {name}
            docker rmi {name}
            """,
        )
        return name

    def digest_at(self, replica: str, repository: str) -> str:
        """What a replica by itself says that the tag 1 stands for."""
        answer = self.on_client(
            f"{self.curl} --connect-to {self.registry}:{replica}:5000 --head -H 'Accept: {_MANIFESTS}'"
            f" https://{self.registry}/v2/{repository}/manifests/1",
        )
        return next(line.split()[1] for line in answer.splitlines() if line.lower().startswith("docker-content-digest"))

    def states(self, balancer: str = balancers[0]) -> dict[str, str]:
        """Of each replica, what a balancer thinks of it."""
        script = """
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/stronghold-registry-balancer/admin.sock")
connection.sendall(b"show stat\\n")
rows = [row.split(",") for row in b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()]
for row in rows:
    if row[0] == "registry" and row[1] not in ("FRONTEND", "BACKEND"):
        print(row[1], row[17].split()[0])
"""
        told = self.lab.on(balancer, f"python3 - <<'END'\n{script}\nEND\n")
        return dict(line.split() for line in told.splitlines())

    def wait_for_states(self, state: str, seconds: float, balancer: str = balancers[0]) -> None:
        """Wait until a balancer thinks so of all replicas."""
        end = time.monotonic() + seconds
        while set(self.states(balancer).values()) != {state}:
            assert time.monotonic() < end, self.states(balancer)
            time.sleep(0.5)

    def started(self) -> list[str]:
        """The containers of the replicas, each with the time at which it was last started."""
        named = "$(docker ps --quiet --filter name=^/?registry)"
        command = f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {named}"
        return [self.lab.on(host, command) for host in self.replicas]

    @staticmethod
    def failed(operations: list[Operation]) -> list[Operation]:
        return [operation for operation in operations if operation.said]


@pytest.fixture(scope="session")
def cluster(lab: Lab) -> Cluster:
    return Cluster(lab)


@pytest.fixture(scope="session")
def other_image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The variables that have the registry run another image: that of the lab with another label, in an archive."""
    name, replica = "example/registry:2.8", Cluster.replicas[0]
    archive = tmp_path_factory.mktemp("image") / "other.tar"
    lab.on(
        replica,
        f"docker build --quiet --tag {name} - <<<$'FROM stronghold/registry-package:2\\nLABEL an=other';"
        f"docker save --output /root/other.tar {name}; docker rmi {name}",
    )
    archive.write_bytes(lab.read(replica, "/root/other.tar"))
    return {
        "registry_server_image_source": "archive",
        "registry_server_image_archive": str(archive),
        "registry_server_image": name,
    }
