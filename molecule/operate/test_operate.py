# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a registry for years. Each test begins with the registry as the former one left it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab, Run

SERVER, CLIENT, SPARE = "operate-server", "operate-client", "operate-spare"
REGISTRY = "operate.lab:5000"
HERE = Path(__file__).parent
COLLECTION = "stronghold-registry-garbage-collect.service"
DIRECTORY = "/srv/registry"
LEFT = f"{DIRECTORY}/config/config.yml.writable"
PASSPHRASE = "a whale of a passphrase"
MIB = 2**20


def push(lab: Lab, name: str, *, fails: bool = False) -> str:
    """Push an image with a layer of its own of a MiB. The client keeps it."""
    image = f"{REGISTRY}/{name}"
    return lab.on(
        CLIENT,
        f"docker image inspect {image} >/dev/null 2>&1 || {{ cd $(mktemp -d); head -c {MIB} /dev/urandom >random;"
        f" tar -c random | docker import - {image}; }}; docker push {image}",
        fails=fails,
    )


def push_platforms(lab: Lab, name: str) -> None:
    """Push an index of images for two platforms."""
    lab.on(
        CLIENT,
        f"""
        cd $(mktemp -d); buildah manifest create multi
        for platform in amd64 arm64; do
          head -c {MIB} /dev/urandom >$platform
          container=$(buildah from --arch $platform scratch)
          buildah copy $container $platform /; buildah commit --rm $container $platform
          buildah manifest add --arch $platform multi $platform
        done
        buildah manifest push --all multi docker://{REGISTRY}/{name}; buildah manifest rm multi
        """,
    )


def push_once(lab: Lab, name: str, *, fails: bool = False) -> str:
    """Push what was pulled last, without the patience of Docker, which tries again for a minute."""
    return lab.on(CLIENT, f"skopeo copy --all dir:/tmp/pulled docker://{REGISTRY}/{name} 2>&1", fails=fails)


def pull(lab: Lab, name: str, *, fails: bool = False, tries: int = 1) -> str:
    """Pull all that a name stands for, the images for all platforms, into an empty directory; try again each second."""
    copy = f"rm -rf /tmp/pulled; skopeo copy --all docker://{REGISTRY}/{name} dir:/tmp/pulled 2>&1 && exit; sleep 1"
    return lab.on(CLIENT, f"for try in $(seq {tries}); do {copy}; done; false", fails=fails)


def digests(lab: Lab) -> str:
    names = ("team/app:1", "team/multi:1", "builds/app:3")
    return lab.on(CLIENT, "; ".join(f"skopeo inspect --raw docker://{REGISTRY}/{name} | sha256sum" for name in names))


def words(run: Run) -> str:
    """What a run printed, as one line, since YAML breaks it anywhere; and with single quotes as they were."""
    return " ".join(run.output.split()).replace("''", "'")


def started(lab: Lab) -> str:
    return lab.on(SERVER, "docker inspect --format '{{.Id}} {{.State.StartedAt}}' registry")


def stored(lab: Lab) -> int:
    return int(lab.on(SERVER, f"du -sb {DIRECTORY}/data").split()[0])


def history(lab: Lab) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lab.read(SERVER, f"{DIRECTORY}/history.jsonl").splitlines()]


def litter(lab: Lab) -> None:
    """Store what no image needs."""
    lab.on(
        SERVER,
        f"""
        cd {DIRECTORY}/data/docker/registry/v2/blobs/sha256; head -c 1000 /dev/urandom >/tmp/litter
        digits=$(sha256sum /tmp/litter | cut -d' ' -f1); place=${{digits:0:2}}/$digits
        mkdir --parents $place; cp /tmp/litter $place/data; chown --recursive 65532:65532 ${{digits:0:2}}
        """,
    )


@contextmanager
def docker_that(lab: Lab, script: str) -> Iterator[None]:
    """A docker client on the server that runs a script before it does what it is told."""
    lab.on(
        SERVER,
        "rm -f /tmp/calls; cat >/usr/local/bin/docker <<'END'; chmod 0755 /usr/local/bin/docker\n"
        f'#!/bin/bash\n{script}\nexec /usr/bin/docker "$@"\nEND',
    )
    try:
        yield
    finally:
        lab.on(SERVER, "rm /usr/local/bin/docker")


SLOW = 'case "$*" in *garbage-collect\\ /etc*) sleep 15;; esac'
KILL = "echo >>/tmp/calls; [ $(wc -l </tmp/calls) != {number} ] || kill -9 $PPID"

# Retention and collection


def test_prune_and_collect(lab: Lab) -> None:
    for number in (1, 2, 3):
        push(lab, f"builds/app:{number}")
    push(lab, "team/app:1")
    push_platforms(lab, "team/multi:1")
    push_platforms(lab, "builds/multi:1")
    push_platforms(lab, "builds/multi:1")
    announced = lab.play("--check", playbook="prune")
    pull(lab, "builds/app:1")
    pruned = lab.play(playbook="prune")
    assert announced.changes == pruned.changes == (f"{SERVER}: Delete the images that no rule keeps",)
    for run in (announced, pruned):
        for reason in ("builds/app:1 goes", "builds/app:2 goes", "builds/multi: manifests without a tag go: 3"):
            assert reason in words(run)
    assert "manifest unknown" in pull(lab, "builds/app:1", fails=True)
    assert lab.play(playbook="prune").changes == ()

    since, full = started(lab), stored(lab)
    announced = lab.play("--check", playbook="garbage_collect")
    assert (started(lab), stored(lab)) == (since, full)
    collected = lab.play(playbook="garbage_collect")
    assert announced.changes == collected.changes == (f"{SERVER}: Free the space of what no image needs",)
    assert full - stored(lab) > 3.9 * MIB
    assert started(lab) != since
    for name in ("builds/app:3", "builds/multi:1", "team/app:1", "team/multi:1"):
        pull(lab, name)
    since = started(lab)
    assert lab.play(playbook="garbage_collect").changes == ()
    assert started(lab) == since
    assert [event["event"] for event in history(lab)] == ["garbage_collect", "garbage_collect"]


def test_what_was_collected_can_be_pushed_again(lab: Lab) -> None:
    push(lab, "builds/app:1")
    pull(lab, "builds/app:1")


def test_it_can_be_pulled_from_meanwhile(lab: Lab) -> None:
    litter(lab)
    with docker_that(lab, SLOW):
        run = lab.start(playbook="garbage_collect")
        lab.on(SERVER, f"timeout 60 sh -c \"until pgrep -x -f 'sleep 15'; do sleep 0.2; done\"; ls {LEFT}")
        pull(lab, "team/multi:1")
        assert "405" in push_once(lab, "builds/late:1", fails=True)
        # Nobody else collects at the same time, and a run that fails for it disturbs nothing.
        other = lab.play(playbook="garbage_collect", fails=True)
        assert "a garbage collection, backup or restore of this registry goes on" in words(other)
        output = run.communicate(timeout=120)[0]
    assert run.returncode == 0, output[-3000:]
    push(lab, "builds/late:1")
    pull(lab, "team/multi:1")


def test_tags_that_are_damaged_are_named(lab: Lab) -> None:
    digest = json.loads(lab.on(CLIENT, f"skopeo inspect --raw docker://{REGISTRY}/builds/late:1"))["layers"][0][
        "digest"
    ]
    digits = digest.removeprefix("sha256:")
    blob = f"{DIRECTORY}/data/docker/registry/v2/blobs/sha256/{digits[:2]}/{digits}"
    lab.on(SERVER, f"mv {blob} /root/blob")
    told = words(lab.play(playbook="garbage_collect"))
    assert f"builds/late:1 can't be pulled: blob {digest} is not there" in told
    failed = lab.play(playbook="check", fails=True)
    assert "builds/late:1 can't be pulled" in words(failed)
    lab.on(SERVER, f"mv /root/blob {blob}")


def test_untagged_manifests_are_not_left_to_a_registry_2(lab: Lab) -> None:
    refused = lab.play(playbook="garbage_collect", fails=True, registry_maintenance_delete_untagged=True)
    assert "delete_untagged: a registry before version 3" in words(refused)


def test_a_run_that_is_killed_is_mended_by_the_next(lab: Lab) -> None:
    litter(lab)
    # Killed while the registry collects.
    with docker_that(lab, 'case "$*" in *garbage-collect\\ /etc*) kill -9 $PPID; sleep 2;; esac'):
        lab.play(playbook="garbage_collect", fails=True)
    lab.on(SERVER, f"ls {LEFT}")
    pull(lab, "team/multi:1")
    assert "405" in push_once(lab, "builds/late:2", fails=True)
    lab.play()
    push(lab, "builds/app:1")
    assert lab.play().changes == ()
    lab.on(SERVER, f"! ls {LEFT}")
    with docker_that(lab, 'case "$*" in restart*) kill -9 $PPID; sleep 2;; esac'):
        lab.play(playbook="garbage_collect", fails=True)
    lab.on(SERVER, f"ls {LEFT}")
    mended = lab.play(playbook="garbage_collect")
    assert "an earlier garbage collection or backup was interrupted" in words(mended)
    lab.on(SERVER, f"! ls {LEFT}")
    push(lab, "builds/app:1")
    pull(lab, "team/multi:1")


# What the host does by itself

TIMERS: dict[str, Any] = {
    "registry_maintenance_garbage_collect_schedule": "Sun 03:00",
    "registry_maintenance_backup_schedule": "daily",
    "registry_maintenance_renew_schedule": "daily",
    "registry_maintenance_backup_passphrase": PASSPHRASE,
    "registry_maintenance_backup_keep": 2,
}


def test_a_schedule_that_is_none(lab: Lab) -> None:
    refused = lab.play(fails=True, registry_maintenance_renew_schedule="every day")
    assert "renew_schedule: 'every day' is no calendar event of systemd" in words(refused)
    assert refused.changes == ()
    refused = lab.play(fails=True, registry_maintenance_renew_schedule="daily", registry_tls_source="self_signed")
    assert "registry_tls_source: has to be own_ca" in words(refused)
    assert refused.changes == ()


def test_timers_come(lab: Lab) -> None:
    since = started(lab)
    assert lab.change(**TIMERS).changes == (
        f"{SERVER}: Install the packages",
        f"{SERVER}: Have the host maintain its registry by itself",
    )
    assert started(lab) == since
    timers = lab.on(SERVER, "systemctl list-timers --no-legend 'stronghold-*'")
    for job in ("garbage-collect", "backup", "renew"):
        assert f"stronghold-registry-{job}.timer" in timers
    assert lab.on(SERVER, "stat --format %a /etc/stronghold/registry.json") == "600"


def test_the_host_collects_by_itself(lab: Lab) -> None:
    litter(lab)
    full = stored(lab)
    lab.on(SERVER, f"systemctl start {COLLECTION}")
    assert stored(lab) < full
    assert "garbage_collect: no image needs some blobs: " in lab.on(
        SERVER, f"journalctl --sync; journalctl --unit {COLLECTION}"
    )


def test_the_registry_serves_again_wherever_a_collection_is_killed(lab: Lab) -> None:
    number, killed = 0, 0
    while number < 40:
        number += 1
        litter(lab)
        with docker_that(lab, KILL.format(number=number)):
            # systemd starts nothing that failed five times in ten seconds.
            start = f"systemctl reset-failed; systemctl start {COLLECTION}"
            done = subprocess.run(["docker", "exec", SERVER, "sh", "-c", start], check=False)
            calls = int(lab.on(SERVER, "wc -l </tmp/calls"))
        lab.on(SERVER, f"! ls {LEFT}")
        push(lab, "builds/app:1")
        # The engine goes on with a restart whose client was killed.
        pull(lab, "team/multi:1", tries=30)
        if calls < number:
            break
        killed += done.returncode != 0
    assert killed > 5
    assert calls < number


def test_the_registry_serves_again_after_the_host_went_down(lab: Lab) -> None:
    litter(lab)
    with docker_that(lab, SLOW):
        subprocess.run(["docker", "exec", SERVER, "systemctl", "start", "--no-block", COLLECTION], check=True)
        lab.on(SERVER, f"timeout 60 sh -c \"until pgrep -x -f 'sleep 15'; do sleep 0.2; done\"; ls {LEFT}")
        lab.reboot(SERVER)
    lab.on(SERVER, f"for second in $(seq 30); do [ -e {LEFT} ] || break; sleep 1; done; ! ls {LEFT}")
    push(lab, "builds/app:1")
    assert lab.play(**TIMERS).changes == ()


def test_the_host_renews_by_itself(lab: Lab) -> None:
    served = f"openssl s_client -connect {REGISTRY} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    # One of 40 days, that is not due yet.
    lab.play(registry_tls_days=40, registry_tls_force=True, **TIMERS)
    lab.play(**TIMERS)
    former, since = lab.on(CLIENT, served), started(lab)
    unit = "stronghold-registry-renew.service"
    lab.on(SERVER, f"systemctl start {unit}")
    assert (lab.on(CLIENT, served), started(lab)) == (former, since)
    lab.on(SERVER, 'sed -i \'s/"renew_before": 30/"renew_before": 41/\' /etc/stronghold/registry.json')
    lab.on(SERVER, f"systemctl start {unit}")
    assert lab.on(CLIENT, served) != former
    pull(lab, "team/multi:1")
    lab.on(CLIENT, f"docker pull {REGISTRY}/team/app:1")
    assert history(lab)[-1]["event"] == "renew"
    lab.play(**TIMERS)
    assert lab.play(**TIMERS).changes == ()


def test_renewal_on_demand(lab: Lab) -> None:
    lab.play(registry_tls_days=40, registry_tls_force=True, **TIMERS)
    lab.play(**TIMERS)
    assert lab.play(playbook="renew", **TIMERS).changes == ()
    renewed = lab.play(playbook="renew", registry_tls_renew_before=41, **TIMERS)
    assert renewed.changes == (f"{SERVER}: Make or renew the certificates", f"{SERVER}: Run the registry's container")
    lab.on(CLIENT, f"docker pull {REGISTRY}/team/app:1")


def test_the_host_backs_up_by_itself(lab: Lab) -> None:
    for _day in range(3):
        lab.on(SERVER, "systemctl start stronghold-registry-backup.service; sleep 1.1")
    archives = lab.on(SERVER, "ls /backups").splitlines()
    assert len(archives) == 2
    assert all(name.endswith(".tar.gpg") for name in archives)
    assert history(lab)[-1]["archive"] == f"/backups/{archives[-1]}"
    lab.on(SERVER, "rm /backups/*")


def test_timers_go(lab: Lab) -> None:
    assert lab.change().changes == (f"{SERVER}: Have the host maintain its registry by itself",)
    assert lab.on(SERVER, "find /etc/systemd /etc/stronghold -name 'stronghold-*' -o -name '*.json'") == ""


# Check


def report(lab: Lab) -> dict[str, Any]:
    path = HERE.parents[1] / "build" / "lab" / "operate" / "report" / "report.json"
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def test_all_is_well(lab: Lab) -> None:
    seen = lab.play(playbook="check")
    told = report(lab)
    assert told["level"] == "ok", told
    assert all(
        change.endswith(("Write it for programs", "Write it for people", "Make its directory"))
        for change in seen.changes
    )
    (registry,) = told["registries"]
    assert {finding["about"] for finding in registry["findings"]} >= {"certificate", "CA", "access", "users", "disk"}
    assert [client["host"] for client in told["clients"]] == [CLIENT]
    names = [repository["name"] for repository in registry["info"]["repositories"]]
    assert {"builds/app", "builds/multi", "team/app", "team/multi"} <= set(names)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"registry_maintenance_least_certificate_days": 500}, "The certificate has 39"),
        ({"registry_maintenance_least_disk_free_percent": 101}, "of the disk are free"),
        ({"registry_maintenance_least_cost": 12}, "Hashes of a cost below 12, or none of bcrypt: moby."),
    ],
)
def test_what_is_below_a_limit_fails(lab: Lab, limits: dict[str, int], sentence: str) -> None:
    failed = lab.play(playbook="check", fails=True, **limits)
    assert sentence in words(failed)
    assert report(lab)["level"] == "critical"


def test_what_was_changed_by_hand_is_seen(lab: Lab) -> None:
    lab.on(CLIENT, f"rm -r /etc/docker/certs.d/{REGISTRY}; docker logout {REGISTRY}")
    lab.on(SERVER, "docker stop registry")
    failed = lab.play(playbook="check", fails=True)
    assert "The container registry does not run." in words(failed)
    assert f"{CLIENT} is not set up to use the registry." in words(failed)
    lab.play()
    assert report(lab)["clients"][0]["level"] == "critical"
    lab.play(playbook="check")
    assert report(lab)["clients"][0]["level"] == "ok"


def test_a_client_that_cannot_be_reached(lab: Lab) -> None:
    subprocess.run(["docker", "pause", CLIENT], check=True)
    try:
        run = lab.start(playbook="check")
        output = run.communicate(timeout=120)[0]
    finally:
        subprocess.run(["docker", "unpause", CLIENT], check=True)
    assert run.returncode != 0, output[-3000:]
    (client,) = report(lab)["clients"]
    assert (client["host"], client["level"]) == (CLIENT, "critical")


# Backup and restore


@pytest.fixture(scope="module")
def archive(lab: Lab) -> str:
    """An encrypted archive of the registry, as the server has it."""
    lab.play("--check", playbook="backup", registry_maintenance_backup_passphrase=PASSPHRASE)
    assert lab.on(SERVER, "ls /backups") == ""
    lab.play(playbook="backup", registry_maintenance_backup_passphrase=PASSPHRASE)
    push(lab, "builds/app:1")
    return "/backups/" + lab.on(SERVER, "ls /backups")


def restore(lab: Lab, archive: str, *options: str, fails: bool = False, **variables: Any) -> Any:
    given = {"registry_maintenance_restore_archive": archive, "registry_maintenance_backup_passphrase": PASSPHRASE}
    return lab.play(*options, playbook="restore", fails=fails, **{**given, **variables})


def test_a_live_registry_is_not_overwritten(lab: Lab, archive: str) -> None:
    since = started(lab)
    refused = restore(lab, archive, fails=True)
    assert "container: registry runs; with force it is stopped" in words(refused)
    cut = f"{archive.removesuffix('.tar.gpg')}-cut.tar.gpg"
    lab.on(SERVER, f"head -c 100000 {archive} >{cut}")
    refused = restore(lab, cut, fails=True, registry_maintenance_restore_force=True)
    assert "Nothing was changed." in words(refused)
    refused = restore(
        lab,
        archive,
        fails=True,
        registry_maintenance_restore_force=True,
        registry_maintenance_backup_passphrase="another passphrase",
    )
    assert "it cannot be decrypted" in words(refused)
    lab.on(SERVER, f"rm {cut}")
    assert started(lab) == since


def test_a_registry_is_set_back(lab: Lab, archive: str) -> None:
    push(lab, "builds/after:1")
    restore(lab, archive, registry_maintenance_restore_force=True)
    assert "unknown" in pull(lab, "builds/after:1", fails=True)
    pull(lab, "team/multi:1")
    lab.on(SERVER, f"rm -r {DIRECTORY}/.before-restore")
    assert lab.play().changes == ()


def test_an_empty_machine_takes_the_place_of_a_lost_one(lab: Lab, archive: str) -> None:
    before = digests(lab)
    trust = f"sha256sum /etc/docker/certs.d/{REGISTRY}/ca.crt /root/.docker/config.json"
    trusted = lab.on(CLIENT, trust)
    kept = lab.read(SERVER, archive)
    subprocess.run(
        ["docker", "exec", "--interactive", SPARE, "sh", "-c", f"umask 077; cat >{archive}"], input=kept, check=True
    )
    network = ["docker", "network"]
    subprocess.run([*network, "disconnect", "stronghold-lab", SERVER], check=True)
    subprocess.run([*network, "disconnect", "stronghold-lab", SPARE], check=True)
    subprocess.run([*network, "connect", "--alias", "operate.lab", "stronghold-lab", SPARE], check=True)
    spare = ["--inventory", str(HERE / "inventory" / "spare.yml"), "--limit", f"{SPARE},{CLIENT}"]
    restored = restore(lab, archive, *spare)
    assert f"{CLIENT}: Set what the host's engines trust, and who is logged in" not in restored.changes
    assert digests(lab) == before
    assert lab.on(CLIENT, trust) == trusted
    lab.on(CLIENT, f"docker rmi {REGISTRY}/team/app:1; docker pull {REGISTRY}/team/app:1")
    pull(lab, "team/multi:1")
    push(lab, "builds/new:1")
    assert lab.play(*spare).changes == ()


# Upgrade


def test_an_upgrade_says_what_it_means_and_goes_back(lab: Lab, tmp_path: Path) -> None:
    spare = ["--inventory", str(HERE / "inventory" / "spare.yml"), "--limit", f"{SPARE},{CLIENT}"]
    before = digests(lab)
    refused = lab.play(*spare, playbook="upgrade", fails=True)
    assert "this registry runs what was built from the distribution's package" in words(refused)
    # The other distribution's version.
    lab.on(SERVER, "docker tag stronghold/registry-package:2 example/registry:2.8")
    archive = tmp_path / "registry.tar"
    with archive.open("wb") as file:
        subprocess.run(["docker", "exec", SERVER, "docker", "save", "example/registry:2.8"], stdout=file, check=True)
    other: dict[str, Any] = {
        "registry_server_image": "example/registry:2.8",
        "registry_server_image_source": "archive",
        "registry_server_image_archive": str(archive),
    }
    done = lab.play(*spare, playbook="upgrade", **other)
    assert "From 2.8.3 to example/registry:2.8." in words(done)
    assert "The last backup: none; the playbook backup makes one" in words(done)
    assert digests(lab) == before
    assert "2.8.2+" in lab.on(SPARE, "docker exec registry /usr/bin/docker-registry --version")
    # Images of the first schema, which version 3 does not serve.
    manifest = '{"schemaVersion": 1, "name": "team/old", "tag": "1", "fsLayers": []}'
    lab.on(
        SPARE,
        f"""
        cd {DIRECTORY}/data/docker/registry/v2; echo -n '{manifest}' >/tmp/manifest
        digits=$(sha256sum /tmp/manifest | cut -d' ' -f1)
        mkdir -p blobs/sha256/${{digits:0:2}}/$digits repositories/team/old/_manifests/tags/1/current
        mkdir -p repositories/team/old/_manifests/revisions/sha256/$digits
        cp /tmp/manifest blobs/sha256/${{digits:0:2}}/$digits/data
        echo -n sha256:$digits | tee repositories/team/old/_manifests/tags/1/current/link \
          >repositories/team/old/_manifests/revisions/sha256/$digits/link
        """,
    )
    newest: dict[str, Any] = {"registry_server_image": "registry:3.1.1", "registry_server_image_source": "pull"}
    refused = lab.play(*spare, playbook="upgrade", fails=True, **newest)
    assert "registries do not serve manifests of the first schema, which these images have: team/old:1" in words(
        refused
    )
    assert refused.changes == ()
    lab.on(SPARE, f"rm -r {DIRECTORY}/data/docker/registry/v2/repositories/team/old")
    # An image that cannot be had leaves the present one running.
    lab.play(*spare, playbook="upgrade", fails=True, **newest)
    assert digests(lab) == before
