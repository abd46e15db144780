# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three replicas serve as one, whatever is changed and whatever fails. Each test begins as the former one ended."""

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

HOST = "cluster.lab"
REGISTRY = f"{HOST}:5000"
FIRST, SECOND, THIRD = REPLICAS = ("cluster-server1", "cluster-server2", "cluster-server3")
BALANCERS = ("cluster-balancer1", "cluster-balancer2")
STORE, CLIENT = "cluster-store", "cluster-client"
CA = f"/etc/docker/certs.d/{REGISTRY}/ca.crt"
CURL = f"curl --silent --show-error --fail --max-time 20 --user moby:gordon --cacert {CA}"
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("docker.distribution.manifest.v2", "docker.distribution.manifest.list.v2", "oci.image.index.v1")
)
WORKERS = 2


@dataclass(frozen=True)
class Operation:
    """A push or pull by a real client; *said* is empty where it went well."""

    what: str
    begun: float
    ended: float
    said: str


@contextmanager
def load(lab: Lab, *balancers: str) -> Iterator[list[Operation]]:
    """Clients push and pull all the while. The list is filled in the end."""
    for balancer in balancers or BALANCERS:
        wait_for_states(lab, "UP", 30, balancer)
    lab.on(CLIENT, "rm -rf /root/load; mkdir /root/load")
    script = (Path(__file__).parent / "load.py").read_text()
    lab.on(CLIENT, f"cat >/root/load/load.py <<'END'\n{script}\nEND\n")
    lab.on(
        CLIENT,
        "systemd-run --unit=load --collect --property=StandardOutput=file:/root/load/operations"
        f" python3 /root/load/load.py {REGISTRY} /root/load {WORKERS}",
    )
    operations: list[Operation] = []
    try:
        yield operations
    finally:
        lab.on(CLIENT, "touch /root/load/stop; while systemctl is-active --quiet load; do sleep 0.5; done")
        lines = lab.on(CLIENT, "cat /root/load/operations").splitlines()
        operations += [Operation(**json.loads(line)) for line in lines]


def failed(operations: list[Operation]) -> list[Operation]:
    return [operation for operation in operations if operation.said]


def push(lab: Lab, image: str) -> None:
    """Push an image of random content with docker, and forget it."""
    lab.on(
        CLIENT,
        f"""
        cd $(mktemp -d)
        head --bytes=100000 /dev/urandom >random
        tar -c random | docker import - {image}
        docker push {image}
        docker rmi {image}
        """,
    )


def digest_at(lab: Lab, replica: str, repository: str) -> str:
    """What a replica by itself says that the tag 1 stands for."""
    answer = lab.on(
        CLIENT,
        f"{CURL} --connect-to {REGISTRY}:{replica}:5000 --head -H 'Accept: {MANIFESTS}'"
        f" https://{REGISTRY}/v2/{repository}/manifests/1",
    )
    return next(line.split()[1] for line in answer.splitlines() if line.lower().startswith("docker-content-digest"))


def states(lab: Lab, balancer: str = BALANCERS[0]) -> dict[str, str]:
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
    told = lab.on(balancer, f"python3 - <<'END'\n{script}\nEND\n")
    return dict(line.split() for line in told.splitlines())


def wait_for_states(lab: Lab, state: str, seconds: float, balancer: str = BALANCERS[0]) -> None:
    """Wait until a balancer thinks so of all replicas."""
    end = time.monotonic() + seconds
    while set(states(lab, balancer).values()) != {state}:
        assert time.monotonic() < end, states(lab, balancer)
        time.sleep(0.5)


def started(lab: Lab) -> list[str]:
    return [lab.on(host, "docker inspect --format '{{.Id}} {{.State.StartedAt}}' registry") for host in REPLICAS]


# From one to many


def test_one_host_grows_to_many(lab: Lab) -> None:
    single: dict[str, Any] = {
        "registry_server_storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}},
        "registry_endpoint_replicas": [FIRST],
        "registry_endpoint_balancers": [],
        "registry_server_redis_address": "",
    }
    address = lab.on(CLIENT, f"getent hosts {HOST} | cut -d' ' -f1")
    # The name is the server's until it is the balancers'.
    lab.on(FIRST, f"ip address replace {address}/32 dev eth0")
    lab.play("--limit", f"{FIRST},{CLIENT}", **single)
    push(lab, f"{REGISTRY}/team/kept:1")
    many = f"docker://{REGISTRY}/team/many:1"
    lab.on(
        CLIENT,
        f"""
        cd $(mktemp -d)
        buildah rmi --all --force
        buildah manifest create many
        for architecture in amd64 arm64; do
          container=$(buildah from --arch $architecture scratch)
          head --bytes=50000 /dev/urandom >random
          buildah copy --quiet $container random
          buildah commit --quiet --manifest many $container
        done
        buildah manifest push --all many {many}
        """,
    )
    before = [digest_at(lab, FIRST, repository) for repository in ("team/kept", "team/many")]
    lab.on(FIRST, f"ip address del {address}/32 dev eth0")
    lab.play(playbook="move_to_store")
    assert lab.on(FIRST, "ls /srv/registry/data") == "docker"
    for replica in REPLICAS:
        assert [digest_at(lab, replica, repository) for repository in ("team/kept", "team/many")] == before
    lab.on(CLIENT, f"docker pull {REGISTRY}/team/kept:1; skopeo copy --all --quiet {many} dir:$(mktemp -d)")


# Together one registry


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    assert lab.play().changes == ()
    assert lab.play("--check").changes == ()


def test_each_replica_serves_what_was_pushed_through_a_balancer(lab: Lab) -> None:
    image = f"{REGISTRY}/team/later:1"
    push(lab, image)
    lab.on(CLIENT, f"docker pull {image}")
    assert len({digest_at(lab, replica, "team/later") for replica in REPLICAS}) == 1


def test_keys_stay_where_they_were_made(lab: Lab) -> None:
    certificates = [lab.on(host, "cat /srv/registry/certs/registry.crt") for host in REPLICAS]
    keys = [lab.on(host, "openssl pkey -in /srv/registry/certs/registry.key -pubout") for host in REPLICAS]
    assert len(set(keys)) == len(REPLICAS)
    for certificate, key in zip(certificates, keys):
        shown = lab.on(
            CLIENT,
            f"openssl x509 -noout -pubkey <<<'{certificate}';"
            f"openssl verify -x509_strict -verify_hostname {HOST} -CAfile {CA} <<<'{certificate}'",
        )
        assert key in shown
        assert shown.endswith("stdin: OK")
    assert [lab.there(host, "/srv/registry/ca") for host in REPLICAS] == ["/srv/registry/ca", "", ""]
    assert {lab.on(host, "ls /srv/registry/certs") for host in REPLICAS} == {"registry.crt\nregistry.key"}


def test_an_upload_goes_on_at_another_replica(lab: Lab) -> None:
    script = f"""
curl() {{ command {CURL} --include "$@" | tr -d '\\r'; }}
location() {{ sed -n 's/^[Ll]ocation: //p'; }}
blob=$(mktemp); head --bytes=50000 /dev/urandom >$blob
digest=sha256:$(sha256sum $blob | cut -d' ' -f1)
at() {{ echo --connect-to {REGISTRY}:$1:5000; }}
binary='Content-Type: application/octet-stream'
place=$(curl $(at {FIRST}) -X POST https://{REGISTRY}/v2/team/upload/blobs/uploads/ | location)
place=$(curl $(at {SECOND}) -X PATCH -H "$binary" --data-binary @$blob "$place" | location)
curl $(at {THIRD}) -X PUT "$place&digest=$digest" | head -1
"""
    assert "201" in lab.on(CLIENT, script)


# Collected


def test_garbage_is_collected_once_for_all(lab: Lab) -> None:
    image = f"{REGISTRY}/team/garbage:1"
    push(lab, image)
    # The same once more, as a client that has the image still would.
    lab.on(CLIENT, f"docker pull {image}")
    digest = digest_at(lab, FIRST, "team/garbage")
    lab.on(CLIENT, f"{CURL} -X DELETE https://{REGISTRY}/v2/team/garbage/manifests/{digest}")
    before = started(lab)
    assert "would be removed" in lab.play("--check", playbook="garbage_collect").output
    assert started(lab) == before
    assert " removed" in lab.play(playbook="garbage_collect").output
    assert all(old != new for old, new in zip(before, started(lab)))
    # With what the cache remembered, this push would be lost.
    lab.on(CLIENT, f"docker push {image}; docker rmi {image}; docker pull {image}")
    lab.on(CLIENT, f"skopeo copy --quiet docker://{REGISTRY}/team/kept:1 dir:$(mktemp -d)")
    assert lab.play().changes == ()


# Planned changes


def test_planned_changes_lose_nothing(lab: Lab, tmp_path: Path) -> None:
    image = tmp_path / "other.tar"
    lab.on(
        FIRST,
        "docker build --quiet --tag example/registry:2.8 - <<<$'FROM stronghold/registry-package:2\\nLABEL an=other';"
        "docker save --output /root/other.tar example/registry:2.8; docker rmi example/registry:2.8",
    )
    image.write_bytes(lab.read(FIRST, "/root/other.tar"))
    other: dict[str, Any] = {
        "registry_server_image_source": "archive",
        "registry_server_image_archive": str(image),
        "registry_server_image": "example/registry:2.8",
    }
    users = [{"name": "moby", "password": "gordon", "cost": 5}, {"name": "ann", "password": "of her own", "cost": 5}]
    runs = [started(lab)]
    with load(lab) as operations:
        lab.play(registry_tls_force=True)
        runs.append(started(lab))
        lab.play(registry_server_realm="Another Realm")
        runs.append(started(lab))
        lab.play(**other)
        runs.append(started(lab))
        lab.play(registry_auth_users=users, **other)
        assert started(lab) == runs[-1]
        lab.play()
    for former, latter in zip(runs, runs[1:]):
        assert all(old != new for old, new in zip(former, latter))
    assert failed(operations) == []
    assert len(operations) >= 500


def test_a_replica_that_fails_stops_the_roll(lab: Lab) -> None:
    before = started(lab)
    with load(lab) as operations:
        run = lab.play(
            fails=True, registry_server_start_timeout=5, registry_server_config={"http": {"addr": "192.0.2.1:5000"}}
        )
        assert "the former image and configuration run again" in " ".join(run.output.split())
    assert failed(operations) == []
    after = started(lab)
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert set(states(lab).values()) == {"UP"}
    assert lab.play().changes == ()


def test_a_replica_comes_and_goes(lab: Lab) -> None:
    two = list(REPLICAS[:2])
    with load(lab) as operations:
        lab.play("--limit", f"cluster:!{THIRD}", registry_endpoint_replicas=two)
        assert set(states(lab)) == set(two)
        lab.play("--limit", THIRD, playbook="teardown")
        assert lab.there(THIRD, "/srv/registry/certs", "/srv/registry/config") == ""
        lab.play()
        assert set(states(lab)) == set(REPLICAS)
    assert failed(operations) == []
    wait_for_states(lab, "UP", 30)


# What fails by itself


def test_a_replica_that_is_killed_costs_what_it_did(lab: Lab) -> None:
    with load(lab) as operations:
        for host in REPLICAS:
            time.sleep(8)
            lab.on(host, "pkill --signal KILL --full 'serve /etc/registry/config.yml'")
        time.sleep(8)
    lost = failed(operations)
    assert len(lost) <= WORKERS * len(REPLICAS), lost
    assert not [operation for operation in lost if "DAMAGED" in operation.said]
    wait_for_states(lab, "UP", 30)


def test_a_cache_that_is_killed_costs_nothing(lab: Lab) -> None:
    with load(lab) as operations:
        time.sleep(5)
        lab.on(STORE, "systemctl kill --signal=KILL stronghold-registry-cache")
        time.sleep(10)
    assert failed(operations) == []


def test_an_address_moves_from_a_balancer_that_fails(lab: Lab) -> None:
    address = lab.on(CLIENT, f"getent hosts {HOST} | cut -d' ' -f1")

    def holders() -> list[str]:
        return [host for host in BALANCERS if f" {address}/" in lab.on(host, "ip -4 addr")]

    (holder,) = holders()
    (other,) = set(BALANCERS) - {holder}
    with load(lab) as operations:
        time.sleep(5)
        killed = time.time()
        with lab.down(holder):
            time.sleep(15)
            assert f" {address}/" in lab.on(other, "ip -4 addr")
        time.sleep(15)
    lost = failed(operations)
    # Those that had begun, and those that met nobody until the address had moved.
    assert not [operation for operation in lost if not killed - 10 < operation.begun < killed + 10], lost
    assert [operation for operation in operations if operation.begun > killed + 10]
    assert holders() == [other]
    wait_for_states(lab, "UP", 60, holder)


@pytest.mark.parametrize(("stop", "start"), [("stop", "start"), ("kill --signal=STOP", "kill --signal=CONT")])
def test_a_store_that_fails_is_noticed(lab: Lab, stop: str, start: str) -> None:
    lab.on(STORE, f"systemctl {stop} store")
    try:
        wait_for_states(lab, "DOWN", 60)
        begun = time.monotonic()
        lab.on(CLIENT, f"{CURL} https://{REGISTRY}/v2/", fails=True)
        # At once, not when the client loses patience.
        assert time.monotonic() - begun < 5
    finally:
        lab.on(STORE, f"systemctl {start} store")
    wait_for_states(lab, "UP", 60)
    lab.on(CLIENT, f"skopeo copy --quiet docker://{REGISTRY}/team/kept:1 dir:$(mktemp -d)")


def test_a_balancer_that_is_down_stops_no_change(lab: Lab) -> None:
    before = started(lab)
    with lab.down(BALANCERS[1]), load(lab, BALANCERS[0]) as operations:
        lab.play("--limit", f"cluster:!{BALANCERS[1]}", registry_server_realm="Another Realm")
    assert failed(operations) == []
    assert all(old != new for old, new in zip(before, started(lab)))
    lab.play()


# Bad input


SETTINGS = {
    "regionendpoint": "https://cluster-store:8333",
    "region": "us-east-1",
    "bucket": "images",
    "accesskey": "registry",
    "secretkey": "only-the-store-and-replicas-know",
    "v4auth": True,
    "chunksize": 5242880,
    "rootdirectory": "/",
}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        (
            {"registry_server_storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}}},
            "registry_server_storage: ",
        ),
        ({"registry_endpoint_replicas": [FIRST]}, "registry_endpoint_replicas: "),
        ({"registry_server_storage": {"s3": {**SETTINGS, "accesskey": "nobody"}}}, "accesskey: "),
        ({"registry_server_storage": {"s3": {**SETTINGS, "secretkey": "guessed"}}}, "secretkey: "),
        (
            {
                "registry_server_storage": {"s3": {**SETTINGS, "bucket": "none"}},
                "registry_server_storage_create": False,
            },
            "bucket: 'none' is not there",
        ),
        ({"registry_server_redis_password": ""}, "registry_cache_password: "),
        ({"registry_maintenance_renew_schedule": "daily"}, "registry_maintenance_"),
        ({"registry_tls_source": "self_signed"}, "registry_tls_source: "),
        ({"registry_balancer_addresses": {"another": "192.0.2.1"}}, "registry_balancer_addresses: "),
        ({"registry_balancer_mode": "terminate", "registry_tls_source": "provided"}, "registry_tls_"),
    ],
)
def test_bad_input_is_refused(lab: Lab, variables: dict[str, Any], complaint: str) -> None:
    run = lab.play(fails=True, **variables)
    assert complaint in run.output
    assert run.changes == ()


def test_an_empty_balancer_is_refused(lab: Lab) -> None:
    run = lab.play("--limit", BALANCERS[0], fails=True, registry_endpoint_replicas=[])
    assert "registry_endpoint_replicas: names no server" in run.output
    assert run.changes == ()


# And away


def test_teardown_leaves_the_hosts_as_they_were(lab: Lab) -> None:
    lab.play(playbook="teardown")
    for host in BALANCERS:
        assert lab.on(host, "ls /etc/stronghold; systemctl list-units --no-legend 'stronghold-*'") == ""
    assert lab.on(STORE, "ls /etc/stronghold; systemctl list-units --no-legend 'stronghold-*'") == ""
    assert lab.play("--check", playbook="teardown").changes == ()
