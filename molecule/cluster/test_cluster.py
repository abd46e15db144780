# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three replicas serve as one, whatever is changed and whatever fails. Each test begins as the former one ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab
    from .conftest import Cluster

FIRST, SECOND, THIRD = REPLICAS = ("cluster-server1", "cluster-server2", "cluster-server3")
BALANCERS = ("cluster-balancer1", "cluster-balancer2")
STORE = "cluster-store"
CACHE_PASSWORD = "only-the-cache-and-replicas-know"


# From one to many


def test_one_host_grows_to_many(lab: Lab, cluster: Cluster) -> None:
    single: dict[str, Any] = {
        "registry_server_storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}},
        "registry_endpoint_replicas": [FIRST],
        "registry_endpoint_balancers": [],
        "registry_server_redis_address": "",
    }
    address = cluster.on_client(f"getent hosts {cluster.host} | cut -d' ' -f1")
    # The name is the server's until it is the balancers'.
    lab.on(FIRST, f"ip address replace {address}/32 dev eth0")
    lab.play("--limit", f"{FIRST},{cluster.client}", **single)
    cluster.push("team/kept:1")
    many = f"docker://{cluster.registry}/team/many:1"
    cluster.on_client(
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
    before = [cluster.digest_at(FIRST, repository) for repository in ("team/kept", "team/many")]
    lab.on(FIRST, f"ip address del {address}/32 dev eth0")
    lab.play(playbook="move_to_store")
    assert lab.on(FIRST, "ls /srv/registry/data") == "docker"
    for replica in REPLICAS:
        assert [cluster.digest_at(replica, repository) for repository in ("team/kept", "team/many")] == before
    cluster.on_client(f"docker pull {cluster.registry}/team/kept:1; skopeo copy --all --quiet {many} dir:$(mktemp -d)")


# Together one registry


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    assert lab.play().changes == ()
    assert lab.play("--check").changes == ()


def test_each_replica_serves_what_was_pushed_through_a_balancer(lab: Lab, cluster: Cluster) -> None:
    image = cluster.push("team/later:1")
    cluster.on_client(f"docker pull {image}")
    assert len({cluster.digest_at(replica, "team/later") for replica in REPLICAS}) == 1


def test_keys_stay_where_they_were_made(lab: Lab, cluster: Cluster) -> None:
    certificates = [lab.on(host, "cat /srv/registry/certs/registry.crt") for host in REPLICAS]
    keys = [lab.on(host, "openssl pkey -in /srv/registry/certs/registry.key -pubout") for host in REPLICAS]
    assert len(set(keys)) == len(REPLICAS)
    for certificate, key in zip(certificates, keys):
        shown = cluster.on_client(
            f"openssl x509 -noout -pubkey <<<'{certificate}';"
            f"openssl verify -x509_strict -verify_hostname {cluster.host} -CAfile {cluster.ca} <<<'{certificate}'",
        )
        assert key in shown
        assert shown.endswith("stdin: OK")
    assert [lab.there(host, "/srv/registry/ca") for host in REPLICAS] == ["/srv/registry/ca", "", ""]
    assert {lab.on(host, "ls /srv/registry/certs") for host in REPLICAS} == {"registry.crt\nregistry.key"}


def test_an_upload_goes_on_at_another_replica(lab: Lab, cluster: Cluster) -> None:
    script = f"""
curl() {{ command {cluster.curl} --include "$@" | tr -d '\\r'; }}
location() {{ sed -n 's/^[Ll]ocation: //p'; }}
blob=$(mktemp); head --bytes=50000 /dev/urandom >$blob
digest=sha256:$(sha256sum $blob | cut -d' ' -f1)
at() {{ echo --connect-to {cluster.registry}:$1:5000; }}
binary='Content-Type: application/octet-stream'
place=$(curl $(at {FIRST}) -X POST https://{cluster.registry}/v2/team/upload/blobs/uploads/ | location)
place=$(curl $(at {SECOND}) -X PATCH -H "$binary" --data-binary @$blob "$place" | location)
curl $(at {THIRD}) -X PUT "$place&digest=$digest" | head -1
"""
    assert "201" in cluster.on_client(script)


# Collected


def test_garbage_is_collected_once_for_all(lab: Lab, cluster: Cluster) -> None:
    image = cluster.push("team/garbage:1")
    # The same once more, as a client that has the image still would.
    cluster.on_client(f"docker pull {image}")
    digest = cluster.digest_at(FIRST, "team/garbage")
    cluster.on_client(f"{cluster.curl} -X DELETE https://{cluster.registry}/v2/team/garbage/manifests/{digest}")
    before = cluster.started()
    assert "would be removed" in lab.play("--check", playbook="garbage_collect").output
    assert cluster.started() == before
    assert " removed" in lab.play(playbook="garbage_collect").output
    assert all(old != new for old, new in zip(before, cluster.started()))
    # With what the cache remembered, this push would be lost.
    cluster.on_client(f"docker push {image}; docker rmi {image}; docker pull {image}")
    cluster.on_client(f"skopeo copy --quiet docker://{cluster.registry}/team/kept:1 dir:$(mktemp -d)")
    assert lab.play().changes == ()


def test_what_a_killed_collection_left_is_forgotten(lab: Lab, cluster: Cluster) -> None:
    redis = f"REDISCLI_AUTH={CACHE_PASSWORD} redis-cli --no-auth-warning -p 6390"
    lab.on(STORE, f"{redis} SET blobs::sha256:collected 1")
    lab.on(FIRST, "touch /srv/registry/cache.stale")
    lab.on(STORE, "systemctl stop stronghold-registry-cache")
    failed = lab.play("--limit", "cluster:!cluster-store", fails=True, registry_server_realm="Another Realm")
    assert "nobody can push until it has forgotten them" in " ".join(failed.output.split())
    lab.on(STORE, f"systemctl start stronghold-registry-cache; {redis} SET blobs::sha256:collected 1")
    before = cluster.started()
    lab.play()
    assert lab.on(STORE, f"{redis} EXISTS blobs::sha256:collected") == "0"
    assert lab.there(FIRST, "/srv/registry/cache.stale") == ""
    # Which ends a collection that went on.
    after = cluster.started()
    assert (before[0] != after[0], before[1:] == after[1:]) == (True, True)
    assert lab.play().changes == ()


# Planned changes


def test_planned_changes_lose_nothing(lab: Lab, cluster: Cluster, other_image: dict[str, Any]) -> None:
    users = [{"name": "moby", "password": "gordon", "cost": 5}, {"name": "ann", "password": "of her own", "cost": 5}]
    runs = [cluster.started()]
    with cluster.load() as operations:
        lab.play(registry_tls_force=True)
        runs.append(cluster.started())
        lab.play(registry_server_realm="Another Realm")
        runs.append(cluster.started())
        lab.play(playbook="upgrade", **other_image)
        runs.append(cluster.started())
        lab.play(registry_auth_users=users, **other_image)
        assert cluster.started() == runs[-1]
        lab.play()
    for former, latter in zip(runs, runs[1:]):
        assert all(old != new for old, new in zip(former, latter))
    assert cluster.failed(operations) == []
    assert len(operations) >= 500


def test_a_new_certificate_and_a_new_ca_lose_nothing(lab: Lab, cluster: Cluster) -> None:
    authority = lab.on(FIRST, "cat /srv/registry/ca/ca.crt")
    runs = [cluster.started()]
    with cluster.load() as operations:
        lab.play(playbook="renew", registry_tls_force=True)
        runs.append(cluster.started())
        lab.play(playbook="rotate_ca")
        runs.append(cluster.started())
    for former, latter in zip(runs, runs[1:]):
        assert all(old != new for old, new in zip(former, latter))
    assert cluster.failed(operations) == []
    assert lab.on(FIRST, "cat /srv/registry/ca/ca.crt") != authority
    assert lab.play().changes == ()


def test_a_replica_that_fails_stops_the_roll(lab: Lab, cluster: Cluster) -> None:
    before = cluster.started()
    with cluster.load() as operations:
        run = lab.play(
            fails=True, registry_server_start_timeout=5, registry_server_config={"http": {"addr": "192.0.2.1:5000"}}
        )
        assert "the former image and configuration run again" in " ".join(run.output.split())
    assert cluster.failed(operations) == []
    after = cluster.started()
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert set(cluster.states().values()) == {"UP"}
    assert lab.play().changes == ()


def test_a_replica_that_no_balancer_reaches_stops_each_run(lab: Lab, cluster: Cluster) -> None:
    address = lab.on(FIRST, "hostname --ip-address")
    before = cluster.started()
    lab.on(BALANCERS[0], f"ip route add blackhole {address}")
    try:
        for force in (True, False):
            run = lab.play(fails=True, registry_tls_force=force)
            assert f"{BALANCERS[0]} find {FIRST} down, which answers here" in " ".join(run.output.split())
            assert cluster.started()[1:] == before[1:]
    finally:
        lab.on(BALANCERS[0], f"ip route del blackhole {address}")
    lab.play()
    assert lab.play().changes == ()


def test_a_run_that_begins_late_replaces_no_two_at_once(lab: Lab) -> None:
    task = "Provide or remove the registry"
    run = lab.play("--start-at-task", task, fails=True, registry_server_realm="Another Realm")
    assert "would be replaced at the same time" in " ".join(run.output.split())
    assert run.changes == ()


def test_another_name(lab: Lab, cluster: Cluster) -> None:
    units = "systemctl list-units --no-legend --plain 'stronghold-*' | cut -d' ' -f1"
    kept = cluster.digest_at(FIRST, "team/kept")
    for name, former in (("images", "registry"), ("registry", "images")):
        renamed: dict[str, Any] = {"registry_endpoint_name": name, "registry_endpoint_former": {"name": former}}
        lab.play(**renamed)
        assert lab.play(**renamed).changes == ()
        for host in BALANCERS:
            running = lab.on(host, units).split()
            assert running == [f"stronghold-{name}-balancer.service", f"stronghold-{name}-floating.service"]
        assert lab.on(STORE, units) == f"stronghold-{name}-cache.service"
    assert {cluster.digest_at(replica, "team/kept") for replica in REPLICAS} == {kept}
    assert lab.play().changes == ()


def test_what_an_interrupted_run_wrote_is_read_by_the_next(lab: Lab) -> None:
    # As after a run that ended between a file and the reload or restart.
    written = {
        BALANCERS[0]: ["/etc/stronghold/registry-balancer/haproxy.cfg"],
        BALANCERS[1]: ["/etc/stronghold/registry-balancer/keepalived.conf"],
        STORE: ["/etc/stronghold/registry-cache/redis.conf"],
    }
    for host, files in written.items():
        lab.on(host, f"touch {' '.join(files)}")
    assert sorted(lab.play().changes) == [
        f"{BALANCERS[0]}: Have the running balancer take over its configuration",
        f"{BALANCERS[1]}: Have the running keepalived take over its configuration",
        f"{STORE}: Run the cache now and at boot",
    ]
    assert lab.play().changes == ()


def test_a_replica_comes_and_goes(lab: Lab, cluster: Cluster) -> None:
    two = list(REPLICAS[:2])
    with cluster.load() as operations:
        lab.play("--limit", f"cluster:!{THIRD}", registry_endpoint_replicas=two)
        assert set(cluster.states()) == set(two)
        lab.play("--limit", THIRD, playbook="teardown")
        assert lab.there(THIRD, "/srv/registry/certs", "/srv/registry/config") == ""
        lab.play()
        assert set(cluster.states()) == set(REPLICAS)
    assert cluster.failed(operations) == []
    cluster.wait_for_states("UP", 30)


def test_balancers_that_decrypt(lab: Lab, cluster: Cluster) -> None:
    greet = f"openssl s_client -connect {cluster.registry} -servername {cluster.host} </dev/null 2>/dev/null"
    served = f"{greet} | openssl x509"
    keys = [lab.on(host, "openssl pkey -in /srv/registry/certs/registry.key -pubout") for host in REPLICAS]
    assert cluster.on_client(f"{served} -noout -pubkey") in keys
    with cluster.load() as operations:
        # Not foretold: the library that makes certificates is not there yet.
        lab.play(registry_balancer_mode="terminate")
    assert cluster.failed(operations) == []
    assert lab.play(registry_balancer_mode="terminate").changes == ()
    shown = cluster.on_client(f"{served} -noout -pubkey; {served} | openssl verify -x509_strict -CAfile {cluster.ca}")
    assert shown.endswith("stdin: OK")
    assert not [key for key in keys if key in shown]
    image = cluster.push("team/terminated:1")
    cluster.on_client(f"docker pull {image}; {cluster.curl} --http2 https://{cluster.registry}/v2/")
    address = cluster.on_client("hostname --ip-address")
    logs = [lab.on(host, "docker logs --since 2m registry 2>&1") for host in REPLICAS]
    assert any(address in log for log in logs)
    with cluster.load() as operations:
        lab.play()
    assert cluster.failed(operations) == []
    assert cluster.on_client(f"{served} -noout -pubkey") in keys


# What fails by itself


def test_a_replica_that_is_killed_costs_what_it_did(lab: Lab, cluster: Cluster) -> None:
    with cluster.load() as operations:
        for host in REPLICAS:
            time.sleep(8)
            lab.on(host, "pkill --signal KILL --full 'serve /etc/registry/config.yml'")
        time.sleep(8)
    lost = cluster.failed(operations)
    assert len(lost) <= cluster.workers * len(REPLICAS), lost
    assert not [operation for operation in lost if "DAMAGED" in operation.said]
    cluster.wait_for_states("UP", 30)


@pytest.mark.parametrize(("fail", "mend"), [("KILL", ""), ("STOP", "CONT")])
def test_a_cache_that_is_killed_or_hangs_costs_nothing(lab: Lab, cluster: Cluster, fail: str, mend: str) -> None:
    with cluster.load() as operations:
        time.sleep(5)
        lab.on(STORE, f"systemctl kill --signal={fail} stronghold-registry-cache")
        time.sleep(10)
        if mend:
            lab.on(STORE, f"systemctl kill --signal={mend} stronghold-registry-cache")
    assert cluster.failed(operations) == []
    assert len(operations) > cluster.workers


def test_an_address_moves_from_a_balancer_that_fails(lab: Lab, cluster: Cluster) -> None:
    address = cluster.on_client(f"getent hosts {cluster.host} | cut -d' ' -f1")

    def holders() -> list[str]:
        return [host for host in BALANCERS if f" {address}/" in lab.on(host, "ip -4 addr")]

    (holder,) = holders()
    (other,) = set(BALANCERS) - {holder}
    with cluster.load() as operations:
        time.sleep(5)
        killed = time.time()
        with lab.down(holder):
            time.sleep(15)
            assert f" {address}/" in lab.on(other, "ip -4 addr")
        time.sleep(15)
    lost = cluster.failed(operations)
    # Those that had begun, and those that met nobody until the address had moved.
    assert not [operation for operation in lost if not killed - 10 < operation.begun < killed + 10], lost
    assert [operation for operation in operations if operation.begun > killed + 10]
    assert holders() == [other]
    cluster.wait_for_states("UP", 60, holder)


@pytest.mark.parametrize(("stop", "start"), [("stop", "start"), ("kill --signal=STOP", "kill --signal=CONT")])
def test_a_store_that_fails_is_noticed(lab: Lab, cluster: Cluster, stop: str, start: str) -> None:
    lab.on(STORE, f"systemctl {stop} store")
    try:
        cluster.wait_for_states("DOWN", 60)
        begun = time.monotonic()
        cluster.on_client(f"{cluster.curl} https://{cluster.registry}/v2/", fails=True)
        # At once, not when the client loses patience.
        assert time.monotonic() - begun < 5
    finally:
        lab.on(STORE, f"systemctl {start} store")
    cluster.wait_for_states("UP", 60)
    cluster.on_client(f"skopeo copy --quiet docker://{cluster.registry}/team/kept:1 dir:$(mktemp -d)")


def test_a_balancer_that_is_down_stops_no_change(lab: Lab, cluster: Cluster) -> None:
    before = cluster.started()
    with lab.down(BALANCERS[1]), cluster.load(BALANCERS[0]) as operations:
        lab.play("--limit", f"cluster:!{BALANCERS[1]}", registry_server_realm="Another Realm")
    assert cluster.failed(operations) == []
    assert all(old != new for old, new in zip(before, cluster.started()))
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
        ({"registry_endpoint_replicas": [SECOND, FIRST, THIRD]}, "but has not the CA that clients trust"),
        # Each host's own, as from a file of its own.
        ({"registry_server_http_secret": "of {{ inventory_hostname }}"}, "registry_server_http_secret: "),
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
        ({"registry_balancer_floating_address": "2001:db8::5/64"}, "registry_balancer_floating_address: "),
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


@pytest.mark.parametrize("playbook", ["garbage_collect", "move_to_store", "prune", "rotate_ca", "seed"])
def test_the_replica_that_does_it_for_all_takes_part(lab: Lab, cluster: Cluster, playbook: str) -> None:
    run = lab.play("--limit", cluster.replicas[1], fails=True, playbook=playbook)
    assert f"registry_endpoint_replicas: {FIRST} does this for all of them" in run.output
    assert run.changes == ()


def test_the_replica_with_the_ca_is_not_removed_alone(lab: Lab, cluster: Cluster) -> None:
    run = lab.play("--limit", FIRST, fails=True, playbook="teardown", registry_server_purge_data=True)
    assert f"{FIRST} has the CA of {', '.join(REPLICAS)}" in " ".join(run.output.split())
    assert run.changes == ()
    cluster.digest_at(FIRST, "team/kept")


# Few hosts


def test_a_replica_may_be_a_balancer_as_well(lab: Lab, cluster: Cluster, tmp_path: Path) -> None:
    address = lab.on(THIRD, "hostname --ip-address")
    settings = {"registry_server_listen_address": address, "registry_balancer_listen_address": "127.0.0.1"}

    def inventory(state: str) -> tuple[str, str]:
        path = tmp_path / f"{state}.json"
        host = {**settings, "registry_balancer_state": state, "registry_balancer_floating_address": ""}
        path.write_text(json.dumps({"registry_balancers": {"hosts": {THIRD: host}}}))
        return "--inventory", str(path)

    lab.play(*inventory("present"))
    assert lab.play(*inventory("present")).changes == ()
    verify = f"-verify_return_error -verify_hostname {cluster.host} -servername {cluster.host}"
    ca = lab.on(cluster.client, f"cat {cluster.ca}")
    lab.on(THIRD, f"openssl s_client -connect 127.0.0.1:5000 {verify} -CAfile <(echo '{ca}') </dev/null")
    lab.play(*inventory("absent"))
    lab.play()
    assert lab.play().changes == ()
