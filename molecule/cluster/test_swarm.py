# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker swarm runs the replicas that test_cluster.py left: moved there, changed, and away in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab
    from .conftest import Cluster

FIRST, SECOND, THIRD = REPLICAS = ("cluster-server1", "cluster-server2", "cluster-server3")
BALANCERS = ("cluster-balancer1", "cluster-balancer2")
STORE = "cluster-store"
SWARM: dict[str, Any] = {"registry_server_engine": "swarm", "registry_server_swarm_create": True}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"registry_server_swarm_create": False}, "is in no swarm"),
        ({"registry_endpoint_name": "a.b"}, "can be no service of a swarm"),
        ({"registry_server_listen_address": "127.0.0.1"}, "registry_server_listen_address"),
        ({"registry_docker_daemon_config": {"live-restore": True}}, "registry_docker_daemon_config"),
    ],
)
def test_what_no_swarm_can_do_is_refused(lab: Lab, variables: dict[str, Any], complaint: str) -> None:
    run = lab.play(fails=True, **{**SWARM, **variables})
    assert complaint in " ".join(run.output.split())
    assert run.changes == ()


def test_a_single_server_needs_no_swarm(lab: Lab) -> None:
    run = lab.play("--limit", FIRST, fails=True, registry_endpoint_replicas=[FIRST], **SWARM)
    assert "a swarm is for several servers" in " ".join(run.output.split())
    assert run.changes == ()


def test_another_swarm_is_refused(lab: Lab) -> None:
    # Engines with live-restore can be in none.
    lab.on(SECOND, 'sed -i \'s/"live-restore": true/"live-restore": false/\' /etc/docker/daemon.json')
    lab.on(SECOND, "systemctl reload docker; sleep 1; docker swarm init")
    run = lab.play(fails=True, **SWARM)
    lab.on(SECOND, "docker swarm leave --force")
    assert f"{SECOND} is in another swarm than that of {FIRST}" in " ".join(run.output.split())
    assert run.changes == ()


def test_a_move_that_fails_leaves_the_others(lab: Lab, cluster: Cluster) -> None:
    nowhere = {"http": {"addr": "192.0.2.1:5000"}}
    lab.play(fails=True, registry_server_config=nowhere, registry_server_start_timeout=5, **SWARM)
    for replica in (SECOND, THIRD):
        cluster.digest_at(replica, "team/kept")
    image = cluster.push("team/between:1")
    cluster.on_client(f"docker pull {image}")


def test_replicas_move_into_a_swarm(lab: Lab, cluster: Cluster) -> None:
    before = cluster.digest_at(SECOND, "team/kept")
    lab.play(**SWARM)
    image = cluster.push("team/swarm:1")
    cluster.on_client(f"docker pull {image}")
    for replica in REPLICAS:
        assert cluster.digest_at(replica, "team/kept") == before
    assert len({cluster.digest_at(replica, "team/swarm") for replica in REPLICAS}) == 1
    assert lab.play(**SWARM).changes == ()
    assert lab.play("--check", **SWARM).changes == ()
    nodes = lab.on(FIRST, "docker node ls --format '{{.ManagerStatus}}'").splitlines()
    assert sorted(nodes) == ["Leader", "Reachable", "Reachable"]


def test_secrets_are_the_swarms_own(lab: Lab) -> None:
    names = lab.on(FIRST, "docker secret ls --format '{{.Name}}'; docker config ls --format '{{.Name}}'").splitlines()
    # Besides those in use there are those that the service could go back to.
    kinds = sorted({name.rpartition("-")[0] for name in names})
    assert kinds == [
        f"registry-{name}" for name in ("config.yml", "htpasswd", "registry.crt", "registry.key", "trusted.crt")
    ]
    task = "$(docker ps --quiet --filter label=com.docker.swarm.service.name=registry)"
    for host in REPLICAS:
        described = lab.on(
            host, f"docker inspect {task} --format '{{{{.HostConfig.ReadonlyRootfs}}}} {{{{.HostConfig.CapDrop}}}}'"
        )
        assert described == "true [ALL]"


def test_planned_changes_cost_what_a_container_did(lab: Lab, cluster: Cluster) -> None:
    users = [{"name": "moby", "password": "gordon", "cost": 5}, {"name": "ann", "password": "of her own", "cost": 5}]
    runs = [cluster.started()]
    with cluster.load() as operations:
        lab.change(registry_server_realm="Another Realm", **SWARM)
        runs.append(cluster.started())
        lab.play(registry_auth_users=users, **SWARM)
        runs.append(cluster.started())
        lab.play(registry_tls_force=True, **SWARM)
        runs.append(cluster.started())
    for former, latter in zip(runs, runs[1:]):
        assert all(old != new for old, new in zip(former, latter))
    # A swarm tells no balancer before it stops a container, so whom that was about to answer sees a closed connection.
    lost = cluster.failed(operations)
    assert len(lost) <= cluster.workers * len(REPLICAS) * (len(runs) - 1), lost
    assert not [operation for operation in lost if "EOF" not in operation.said], lost
    assert len(operations) >= 500
    lab.play(**SWARM)
    assert lab.play(**SWARM).changes == ()


def test_upgrade_renewal_and_a_new_ca(lab: Lab, cluster: Cluster, other_image: dict[str, Any]) -> None:
    authority = lab.on(FIRST, "cat /srv/registry/ca/ca.crt")
    kept = cluster.digest_at(FIRST, "team/kept")
    lab.play(playbook="upgrade", **SWARM, **other_image)
    wanted = lab.on(FIRST, f"docker image inspect --format '{{{{.Id}}}}' {other_image['registry_server_image']}")
    running = "docker inspect --format '{{.Image}}' $(docker ps --quiet --filter name=^/?registry)"
    assert {lab.on(replica, running) for replica in REPLICAS} == {wanted}
    lab.play(playbook="renew", registry_tls_force=True, **SWARM, **other_image)
    lab.play(playbook="rotate_ca", **SWARM, **other_image)
    assert lab.on(FIRST, "cat /srv/registry/ca/ca.crt") != authority
    assert lab.play(**SWARM, **other_image).changes == ()
    lab.play(**SWARM)
    assert {cluster.digest_at(replica, "team/kept") for replica in REPLICAS} == {kept}
    image = cluster.push("team/rotated:1")
    cluster.on_client(f"docker pull {image}")


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        # Ends at once, which the swarm sees.
        ({"registry_server_config": {"http": {"addr": "192.0.2.1:5000"}}}, "went back to what it ran before"),
        # Runs, and serves nobody, which only a client can see.
        (
            {"registry_server_config": {"http": {"addr": ":5999"}}, "registry_server_start_timeout": 5},
            "What ran before runs",
        ),
    ],
)
def test_a_swarm_goes_back(lab: Lab, cluster: Cluster, variables: dict[str, Any], complaint: str) -> None:
    run = lab.play(fails=True, **SWARM, **variables)
    assert complaint in " ".join(run.output.split())
    for replica in REPLICAS:
        cluster.digest_at(replica, "team/kept")
    lab.play(**SWARM)
    assert lab.play(**SWARM).changes == ()


def test_garbage_is_collected_in_a_swarm(lab: Lab, cluster: Cluster) -> None:
    image = cluster.push("team/refuse:1")
    cluster.on_client(f"docker pull {image}")
    digest = cluster.digest_at(FIRST, "team/refuse")
    cluster.on_client(f"{cluster.curl} -X DELETE https://{cluster.registry}/v2/team/refuse/manifests/{digest}")
    # It reads each of the thousands of images that the load has left by then, twice, from a store on two busy cores.
    assert " removed" in lab.play(playbook="garbage_collect", within=2400, **SWARM).output
    cluster.on_client(f"docker push {image}; docker rmi {image}; docker pull {image}")
    assert lab.play(**SWARM).changes == ()


@pytest.mark.parametrize("playbook", ["backup", "restore"])
def test_the_replica_that_has_the_files_takes_part(lab: Lab, playbook: str) -> None:
    run = lab.play("--limit", SECOND, fails=True, playbook=playbook, **SWARM)
    assert f"registry_endpoint_replicas: {FIRST} does this for all of them" in run.output
    assert run.changes == ()


def test_check_and_backup_know_the_swarm(lab: Lab) -> None:
    lab.play(playbook="check", **SWARM)
    lab.play(playbook="backup", **SWARM)
    archives = [lab.on(host, "find /var/backups -name '*-registry-*.tar'") for host in REPLICAS]
    assert archives[0]
    assert archives[1:] == ["", ""]


def test_the_node_with_the_ca_is_not_removed_alone(lab: Lab, cluster: Cluster) -> None:
    run = lab.play("--limit", FIRST, fails=True, playbook="teardown", **SWARM)
    assert f"{FIRST} has the CA of {', '.join(REPLICAS)}" in " ".join(run.output.split())
    assert run.changes == ()
    cluster.digest_at(SECOND, "team/kept")


def test_teardown_leaves_the_hosts_as_they_were(lab: Lab) -> None:
    lab.play(playbook="teardown", **SWARM)
    for host in REPLICAS:
        assert lab.on(host, "docker info --format '{{.Swarm.LocalNodeState}}'; docker ps --all --quiet") == "inactive"
    for host in BALANCERS:
        assert lab.on(host, "ls /etc/stronghold; systemctl list-units --no-legend 'stronghold-*'") == ""
    assert lab.on(STORE, "ls /etc/stronghold; systemctl list-units --no-legend 'stronghold-*'") == ""
    assert lab.play("--check", playbook="teardown", **SWARM).changes == ()
