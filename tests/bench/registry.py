# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry that the roles run, against the same image run by hand with the distribution's own configuration."""

from __future__ import annotations

import secrets
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ._lab import BUILD, REGISTRY_IMAGE, host, play, write_inventory
from ._load import Load, Registry, Transfer, client, load
from ._load_images import MANIFEST_TYPE, Blob, Images
from ._measure import Scope, alternate, medians, ratio
from ._report import Cell, Result, Table, Target

LIMIT = 0.97
CLIENTS = (1, 8)
MIB = 2**20

_PORT, _BARE_PORT = 5000, 5001
# Certificate and users are those of the roles; the configuration is the package's, for the image has none.
_BARE = f"""
mkdir -p /srv/bare/config
cd "$(mktemp -d)"
apt-get -qq download docker-registry
dpkg-deb --fsys-tarfile docker-registry_*.deb | tar -xO ./etc/docker/registry/config.yml >/srv/bare/config/config.yml
docker run --detach --name bare --publish {_BARE_PORT}:5000 \\
  --volume /srv/registry/certs:/certs --volume /srv/registry/auth:/auth \\
  --volume /srv/bare/config:/etc/docker/registry --volume /srv/bare/data:/var/lib/docker-registry \\
  --env REGISTRY_HTTP_TLS_CERTIFICATE=/certs/registry.crt --env REGISTRY_HTTP_TLS_KEY=/certs/registry.key \\
  --env REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd {REGISTRY_IMAGE} serve /etc/docker/registry/config.yml
"""


@dataclass
class Contender:
    """A registry with what was pushed to it at last, and how busy the cores were in each run of each case."""

    registry: Registry
    data: str
    account: str
    pushed: list[Transfer] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)

    def forget(self) -> None:
        """Free the space of what was pushed. No digest comes twice, so the bare registry's cache never lies."""
        self.registry.host.run(f"rm -rf {self.data}/docker/registry/v2")

    def time(self, case: str, clients: Callable[[], object]) -> float:
        """The seconds that *clients* take."""
        taken = load(self.registry, clients)[1]
        self.loads.setdefault(case, []).append(taken)
        return taken.seconds

    def curl(self, clients: int, status: int, transfers: Sequence[Transfer], *options: str) -> list[str]:
        return self.registry.curl(clients, status, transfers, f'user = "{self.account}"', *options)

    def upload(self, clients: int, blobs: Sequence[tuple[str, Blob]]) -> None:
        """Push blobs to repositories: ask for a place for each, then send it whole."""
        asked = [Transfer(f"{repository}/blobs/uploads/") for repository, _blob in blobs]
        places = self.curl(1, 202, asked, 'request = "POST"')
        sent = [
            Transfer(f"{place}&digest={blob.digest}", blob.path)
            for place, (_repository, blob) in zip(places, blobs, strict=True)
        ]
        self.curl(clients, 201, sent)


@dataclass(frozen=True)
class Cases:
    """What clients do. Each returns its figure: MiB/s or manifests a second, of all clients together."""

    images: Images
    size: int
    count: int

    def push_blobs(self, clients: int, case: str, contender: Contender) -> float:
        """Each client pushes a blob of its own to a repository of its own."""
        contender.forget()
        blobs = [(f"team{index}", blob) for index, blob in enumerate(self.images.blobs(clients, self.size))]
        seconds = contender.time(case, partial(contender.upload, clients, blobs))
        contender.pushed = [Transfer(f"{repository}/blobs/{blob.digest}") for repository, blob in blobs]
        return clients * self.size / MIB / seconds

    def pull_blobs(self, clients: int, case: str, contender: Contender) -> float:
        """Each client pulls one of the blobs that were pushed at last."""
        seconds = contender.time(case, partial(contender.curl, clients, 200, contender.pushed))
        return clients * self.size / MIB / seconds

    def push_manifests(self, clients: int, case: str, contender: Contender) -> float:
        contender.forget()
        manifests, blobs = self.images.manifests(self.count)
        contender.upload(1, [("team", blob) for blob in blobs])
        pushed = [Transfer(f"team/manifests/{manifest.digest}", manifest.path) for manifest in manifests]
        push = partial(contender.curl, clients, 201, pushed, f'header = "Content-Type: {MANIFEST_TYPE}"')
        seconds = contender.time(case, push)
        contender.pushed = [Transfer(transfer.target) for transfer in pushed]
        return self.count / seconds

    def pull_manifests(self, clients: int, case: str, contender: Contender) -> float:
        pull = partial(contender.curl, clients, 200, contender.pushed, f'header = "Accept: {MANIFEST_TYPE}"')
        return self.count / contender.time(case, pull)

    def push_image(self, case: str, contender: Contender) -> float:
        contender.forget()
        source = f"dir:{self.images.image(self.size)}"
        return self._skopeo(case, contender, "dest", source, f"docker://{contender.registry.authority}/team/image")

    def pull_image(self, case: str, contender: Contender) -> float:
        with TemporaryDirectory(dir=self.images.directory) as target:
            source = f"docker://{contender.registry.authority}/team/image"
            return self._skopeo(case, contender, "src", source, f"dir:{target}")

    def _skopeo(self, case: str, contender: Contender, side: str, source: str, target: str) -> float:
        options = (f"--{side}-creds={contender.account}", f"--{side}-tls-verify=false")
        copy = partial(client, "skopeo", "copy", "--insecure-policy", "--quiet", *options, source, target)
        return self.size / MIB / contender.time(case, copy)

    def all(self) -> Iterator[tuple[str, Callable[[str, Contender], float]]]:
        """By their names, in an order in which each pull comes after its push."""
        for clients in CLIENTS:
            who = f"{clients} client{'s' if clients > 1 else ''}"
            yield f"push blobs, {who}, MiB/s", partial(self.push_blobs, clients)
            yield f"pull blobs, {who}, MiB/s", partial(self.pull_blobs, clients)
            yield f"push manifests, {who}, 1/s", partial(self.push_manifests, clients)
            yield f"pull manifests, {who}, 1/s", partial(self.pull_manifests, clients)
        yield "push an image, skopeo, MiB/s", self.push_image
        yield "pull an image, skopeo, MiB/s", self.pull_image


@contextmanager
def contenders() -> Iterator[dict[str, Contender]]:
    """Both registries on one host: one by the playbook site, the other by hand with its certificate and users."""
    password = secrets.token_hex(16)
    with host("reg") as server, TemporaryDirectory(prefix="registry-", dir=BUILD) as directory:
        roles, bare = Registry(server, "registry", _PORT), Registry(server, "bare", _BARE_PORT)
        variables = {
            "registry_endpoint_host": roles.address,
            "registry_endpoint_port": roles.port,
            "registry_endpoint_controller_directory": directory,
            "registry_server_image_source": "package",
            # At the cost for machines: bcrypt at 10 would hide all else.
            "registry_auth_users": [{"name": "robot", "password": password, "cost": 5}],
        }
        groups = {"registry_servers": [server]}
        play("stronghold.registry.site", write_inventory(Path(directory) / "inventory.json", groups, variables))
        server.run(_BARE)
        for registry in (roles, bare):
            registry.settle()
        yield {
            "by hand": Contender(bare, "/srv/bare/data", f"robot:{password}"),
            "by the roles": Contender(roles, "/srv/registry/data", f"robot:{password}"),
        }


def measure(scope: Scope) -> Result:
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    values: dict[str, list[float]] = {}
    with contenders() as registries, TemporaryDirectory() as directory:
        size, count = (64, 50) if scope.quick else (256, 500)
        cases = Cases(Images(Path(directory)), size * MIB, count)
        for case, run in cases.all():
            turns = {f"{case}, {who}": partial(run, case, each) for who, each in registries.items()}
            figures = alternate(turns, scope.rounds)
            by_hand, by_roles = figures.values()
            share = ratio(by_roles, by_hand)
            processor = _processor(*(each.loads[case] for each in registries.values()))
            rows.append([case, *medians(figures).values(), share, *processor])
            targets.append(Target(f"{case}: by the roles / by hand", share, LIMIT, at_most=False))
            values |= figures
    columns = ["case", *registries, "ratio", "ratio, processor", "registry's core busy", "clients' core busy"]
    return Result(
        name="registry",
        title="Throughput of the registry",
        question="Does anything that the roles set make the registry slower than a plain `docker run` of its image?",
        how=HOW.format(size=cases.size // MIB, count=cases.count),
        tables=[Table("Throughput, TLS and htpasswd (cost 5)", columns, rows)],
        targets=targets,
        values=values,
    )


def _processor(by_hand: Sequence[Load], by_roles: Sequence[Load]) -> tuple[float, float, float]:
    """The ratio by the registries' processor time, and how busy that of the roles and its clients kept their cores."""
    return (
        ratio([each.registry_seconds for each in by_hand], [each.registry_seconds for each in by_roles]),
        statistics.median(each.registry_busy for each in by_roles),
        statistics.median(each.clients_busy for each in by_roles),
    )


HOW = (
    "The playbook `site` makes a registry on a lab host, from the distribution's package. Beside it, on the same "
    "engine, runs the same image by `docker run`, with the package's own configuration and the same certificate and "
    "users. Both are pinned to one core, the clients to the other. Blobs have {size} MiB, each client has one of its "
    "own; there are {count} manifests, all different. Clients are compiled programs: curl, with connections that are "
    "kept, and skopeo. Ratios are of throughput by the clock, and of work for the same processor time of the registry. "
    "A core that is busy near 1 bounds the case; where none is, the disk does, or that a client waits for each answer."
)
