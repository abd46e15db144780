# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one, two and three replicas behind a balancer do for one to sixteen clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ._lab import BUILD, ROOT, Host, command, host, play, write_inventory
from ._load import Registry, Transfer
from ._load_images import MANIFEST_TYPE, Blob, Images
from ._measure import Scope, alternate, medians, ratio
from ._report import Cell, Plot, Result, Table, Target

REPLICAS = (1, 2, 3)
CLIENTS = (1, 2, 4, 8, 16)
CORE = 0.1
"""What each replica may use of a core, so that the machine, which has all of them, is not the bound."""

SCALING = 2.5
"""How many times as much as one, three replicas are to do for the most clients."""

MIB = 2**20
_ADDRESS, _PORT = "cluster.bench", 5000
_ACCOUNT = ("moby", "a password of the benchmark's own")
_KEYS = ("registry", "only-the-store-and-replicas-know")
_STORE = """
cat >/root/accounts.json <<'END'
{accounts}
END
systemd-run --quiet --unit=store --property=StateDirectory=store /root/weed server -dir=/var/lib/store \\
  -ip={address} -ip.bind=0.0.0.0 -master.telemetry=false -master.volumeSizeLimitMB=256 -volume.max=100 \\
  -s3 -s3.config=/root/accounts.json
until (exec 3<>/dev/tcp/{address}/8333) 2>/dev/null; do sleep 0.5; done
"""
_TELL = """
python3 - <<'END'
import socket
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/stronghold-registry-balancer/admin.sock")
    connection.sendall(b"{commands}\\n")
    said = connection.recv(65536).strip()
    assert not said, said
END
"""
_HOW = f"""\
Three replicas by `site.yml` on hosts of their own, behind one balancer that hands on what clients encrypt, with
SeaweedFS as the store and Redis as the cache on a further host, all on the one machine. *Simulated* is how small the
replicas are: each may use {CORE} of a core, since three that had whole cores would have to share the machine's two with
store, balancer and clients. The balancer is told to use one, two or three of them. Clients are connections of one curl,
kept for the whole run, with a password of cost 5. *Requests* are GETs of a manifest; *pull* and *push* are blobs of
1 MiB. One connection stays with one replica, so one client gains nothing by a second replica. The last column tells how
busy the whole machine was with three replicas: far below 1 the replicas are the bound, near 1 the machine is. Networks
were not simulated: all hosts are on one bridge."""


@dataclass
class Cluster:
    """The replicas, of which the balancer uses as many as it is told to, and what was pushed to them."""

    balancer: Host
    replicas: list[Host]
    images: Images
    registry: Registry
    manifest: str = ""
    blobs: list[Transfer] = field(default_factory=list)

    def use(self, count: int) -> None:
        """Have the balancer send clients to the first *count* replicas only."""
        commands = ";".join(
            f"set server registry/{replica.name} state {'ready' if number < count else 'maint'}"
            for number, replica in enumerate(self.replicas)
        )
        self.balancer.run(_TELL.format(commands=commands))

    def curl(self, clients: int, status: int, transfers: Sequence[Transfer], *options: str) -> list[str]:
        account = f'user = "{":".join(_ACCOUNT)}"'
        return self.registry.curl(clients, status, transfers, account, *options)

    def places(self, count: int) -> list[str]:
        """Where *count* uploads may go to."""
        return self.curl(1, 202, [Transfer("team/blobs/uploads/")] * count, 'request = "POST"')

    def send(self, clients: int, places: Sequence[str], blobs: Sequence[Blob]) -> list[Transfer]:
        """Send each blob whole to its place. Returns where they are then."""
        sent = [Transfer(f"{place}&digest={blob.digest}", blob.path) for place, blob in zip(places, blobs, strict=True)]
        self.curl(clients, 201, sent)
        return [Transfer(f"team/blobs/{blob.digest}") for blob in blobs]

    def prepare(self) -> None:
        """Push what is pulled later."""
        (manifest,), needed = self.images.manifests(1)
        self.send(1, self.places(len(needed)), needed)
        self.manifest = f"team/manifests/{manifest.digest}"
        self.curl(1, 201, [Transfer(self.manifest, manifest.path)], f'header = "Content-Type: {MANIFEST_TYPE}"')
        blobs = self.images.blobs(CLIENTS[-1], MIB)
        self.blobs = self.send(1, self.places(len(blobs)), blobs)


@dataclass
class Cases:
    """What clients do; each is told how many replicas and clients there are, and returns its figure."""

    cluster: Cluster
    count: int
    busy: dict[str, list[float]] = field(default_factory=dict)

    def requests(self, replicas: int, clients: int) -> float:
        count = self.count * replicas if clients > 1 else self.count
        asked = [Transfer(self.cluster.manifest)] * max(count, 2 * clients)
        get = partial(self.cluster.curl, clients, 200, asked, f'header = "Accept: {MANIFEST_TYPE}"')
        return len(asked) / self._time("requests", replicas, clients, get)

    def pull(self, replicas: int, clients: int) -> float:
        asked = (self.cluster.blobs * 2)[: max(clients, 8)]
        return len(asked) / self._time("pull", replicas, clients, partial(self.cluster.curl, clients, 200, asked))

    def push(self, replicas: int, clients: int) -> float:
        blobs = self.cluster.images.blobs(max(clients, 4), MIB)
        send = partial(self.cluster.send, clients, self.cluster.places(len(blobs)), blobs)
        return len(blobs) / self._time("push", replicas, clients, send)

    def _time(self, case: str, replicas: int, clients: int, run: Callable[[], object]) -> float:
        self.cluster.use(replicas)
        before, begun = _machine_ticks(), time.perf_counter()
        run()
        seconds, after = time.perf_counter() - begun, _machine_ticks()
        worked, passed = (later - sooner for later, sooner in zip(after, before, strict=True))
        self.busy.setdefault(_key(case, replicas, clients), []).append(worked / passed)
        return seconds


def _machine_ticks() -> tuple[int, int]:
    """What the cores have worked since boot, and what passed, in ticks (/proc/stat, proc(5))."""
    spent = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = spent[3] + spent[4]
    return sum(spent) - idle, sum(spent)


def measure(scope: Scope) -> Result:
    values: dict[str, list[float]] = {}
    clients = scope.of(CLIENTS)
    with _cluster() as cluster:
        cases = Cases(cluster, count=60)
        for name, run in _cases(cases).items():
            contenders = {
                _key(name, replicas, number): partial(run, replicas, number)
                for number in clients
                for replicas in REPLICAS
            }
            values |= alternate(contenders, scope.rounds)
    return Result(
        name="cluster",
        title="Replicas behind a balancer",
        question="What do one, two and three replicas do for one to sixteen clients?",
        how=_HOW,
        tables=[_table(case, unit, values, clients, cases.busy) for case, unit in _UNITS.items()],
        plots=[_plot(case, unit, values, clients) for case, unit in _UNITS.items()],
        targets=_targets(values, clients),
        values=values,
    )


_UNITS = {"requests": "requests a second", "pull": "MiB a second", "push": "MiB a second"}


def _cases(cases: Cases) -> Mapping[str, Callable[[int, int], float]]:
    return {"requests": cases.requests, "pull": cases.pull, "push": cases.push}


def _key(case: str, replicas: int, clients: int) -> str:
    return f"{case}, {replicas} replica{'s' if replicas > 1 else ''}, {clients} client{'s' if clients > 1 else ''}"


@contextmanager
def _cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        replicas = [stack.enter_context(host(f"replica{number}")) for number in REPLICAS]
        balancer = stack.enter_context(host("balancer", _ADDRESS))
        store = stack.enter_context(host("store"))
        work = Path(stack.enter_context(TemporaryDirectory(dir=_directory("cluster"))))
        address = _run_store(store)
        play("stronghold.registry.site", _inventory(work, replicas, balancer, store, address))
        for replica in replicas:
            replica.run(f"docker update --cpus={CORE} registry")
        cluster = Cluster(balancer, replicas, Images(work), Registry(balancer, balancer.name, _PORT))
        cluster.prepare()
        yield cluster


def _directory(name: str) -> Path:
    path = BUILD / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def _run_store(store: Host) -> str:
    """Run SeaweedFS with one account. Returns the host's address, since containers ask no name server of the lab."""
    address = store.run("hostname --ip-address").split()[0]
    keys = [dict(zip(("accessKey", "secretKey"), _KEYS, strict=True))]
    accounts = {"identities": [{"name": "registry", "credentials": keys, "actions": ["Admin"]}]}
    command("docker", "cp", "--follow-link", str(ROOT / "build/venv/bin/weed"), f"{store.name}:/root/weed")
    store.run(_STORE.format(accounts=json.dumps(accounts), address=address))
    return address


def _inventory(work: Path, replicas: list[Host], balancer: Host, store: Host, address: str) -> Path:
    s3 = {
        "regionendpoint": f"http://{address}:8333",
        "region": "us-east-1",
        "bucket": "images",
        **dict(zip(("accesskey", "secretkey"), _KEYS, strict=True)),
        "secure": False,
        "v4auth": True,
        "chunksize": 5 * MIB,
        "rootdirectory": "/",
    }
    # The purger of version 2 ends with a panic on this store.
    maintenance = {"uploadpurging": {"enabled": False}}
    groups = {"registry_servers": replicas, "registry_balancers": [balancer], "registry_caches": [store]}
    variables = {
        "registry_endpoint_host": _ADDRESS,
        "registry_endpoint_replicas": [replica.name for replica in replicas],
        "registry_endpoint_balancers": [balancer.name],
        "registry_endpoint_controller_directory": str(work / "controller"),
        "registry_auth_users": [{"name": _ACCOUNT[0], "password": _ACCOUNT[1], "cost": 5}],
        "registry_server_image_source": "package",
        "registry_server_storage": {"s3": s3},
        "registry_server_storage_create": True,
        "registry_server_config": {"storage": {"maintenance": maintenance}},
        "registry_server_redis_address": f"{address}:6390",
        "registry_server_redis_password": _KEYS[1],
        "registry_cache_listen_address": "0.0.0.0",
    }
    return write_inventory(work / "cluster.yml", groups, variables)


def _table(
    case: str, unit: str, values: Mapping[str, list[float]], clients: Sequence[int], busy: Mapping[str, list[float]]
) -> Table:
    middle = medians(values)
    rows: list[list[Cell]] = []
    for number in clients:
        keys = [_key(case, replicas, number) for replicas in REPLICAS]
        scaled: list[Cell] = [ratio(values[key], values[keys[0]]) for key in keys[1:]]
        row: list[Cell] = [number, *(middle[key] for key in keys), *scaled, medians(busy)[keys[-1]]]
        rows.append(row)
    columns = ["clients", "1 replica", "2 replicas", "3 replicas", "2 / 1", "3 / 1", "machine busy with 3"]
    return Table(f"{case.capitalize()}, {unit}", columns, rows)


def _plot(case: str, unit: str, values: Mapping[str, list[float]], clients: Sequence[int]) -> Plot:
    middle = medians(values)
    series = {
        f"{replicas} replica{'s' if replicas > 1 else ''}": [
            (float(number), middle[_key(case, replicas, number)]) for number in clients
        ]
        for replicas in REPLICAS
    }
    return Plot(f"cluster-{case}", f"Replicas of {CORE} of a core: {case}", "clients", unit, True, False, series)


def _targets(values: Mapping[str, list[float]], clients: Sequence[int]) -> list[Target]:
    most = clients[-1]
    return [
        Target(
            f"{case}, {most} clients: 3 replicas / 1",
            ratio(values[_key(case, REPLICAS[-1], most)], values[_key(case, REPLICAS[0], most)]),
            SCALING,
            at_most=False,
        )
        for case in _UNITS
    ]
