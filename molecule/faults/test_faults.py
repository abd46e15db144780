# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong around a registry. Each test begins and ends with one that works and that a run leaves as it is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, CLIENT = "faults-server", "faults-client"
HOST = "faults.lab"
REGISTRY = f"{HOST}:5000"
MOBY = {"name": "moby", "password": "gordon", "cost": 5}
CALLBACKS = str(Path(__file__).parent / "callback_plugins")


def push(lab: Lab, image: str, size: int, *, fails: bool = False) -> str:
    """Push an image of that many random bytes from the client."""
    return lab.on(
        CLIENT,
        f"cd $(mktemp -d); head --bytes={size} /dev/urandom >random; tar -c random | docker import - {image};"
        f"docker push {image}",
        fails=fails,
    )


def pull_anew(lab: Lab, image: str, *, fails: bool = False) -> str:
    return lab.on(
        CLIENT, f"docker images --quiet {image} | xargs -r docker rmi --force; docker pull {image}", fails=fails
    )


@pytest.fixture(scope="module")
def kept(lab: Lab) -> str:
    """An image that was pushed before anything went wrong."""
    image = f"{REGISTRY}/team/kept:1"
    push(lab, image, 100_000)
    return image


@pytest.fixture(autouse=True)
def _nothing_is_lost(lab: Lab, kept: str) -> Iterator[None]:
    yield
    assert lab.play().changes == ()
    pull_anew(lab, kept)


def started(lab: Lab) -> str:
    return lab.on(SERVER, "docker inspect --format '{{.Id}} {{.State.StartedAt}}' registry")


# A run is killed


def kill(lab: Lab, changes: int, **variables: Any) -> None:
    """Kill a run, with all its processes, after so many changes."""
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": CALLBACKS,
        "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "KILL_AFTER": str(changes),
    }
    process = lab.start(environment=environment, **variables)
    output = process.communicate(timeout=600)[0]
    assert process.returncode == -signal.SIGKILL, output[-4000:]


def test_a_first_run_is_killed_after_each_change(lab: Lab) -> None:
    """A task that changes nothing leaves what the one before it left, so the run is killed after those that do."""

    def registry(number: int) -> dict[str, Any]:
        return {"registry_endpoint_name": f"killed{number}", "registry_endpoint_port": 5100 + number}

    changes = lab.play(**registry(0)).changes
    assert len(changes) == 6
    for number in range(1, len(changes)):
        kill(lab, number, **registry(number))
        assert lab.play(**registry(number)).changes == changes[number:], changes[number - 1]
    assert lab.play(**registry(len(changes) - 1)).changes == ()
    for number in range(len(changes)):
        lab.on(SERVER, f"docker rm --force killed{number}; rm -r /srv/killed{number}")
        lab.on(CLIENT, f"docker logout {HOST}:{5100 + number}; rm -r /etc/docker/certs.d/{HOST}:{5100 + number}")


def test_a_run_that_changes_a_registry_is_killed_after_each_change(lab: Lab) -> None:
    def variables(number: int) -> dict[str, Any]:
        return {
            "registry_tls_names": [HOST, f"name{number}.lab"],
            "registry_auth_users": [{**MOBY, "password": f"password-of-{number}"}],
            "registry_server_config": {"log": {"level": ["info", "warn"][number % 2]}},
        }

    changes = lab.play(**variables(-1)).changes
    assert len(changes) > 3
    for number in range(len(changes) - 1):
        kill(lab, number + 1, **variables(number))
        assert lab.play(**variables(number)).changes == changes[number + 1 :], changes[number]
    # The proof at the end of each run has seen the certificate on disk served, and the password accepted.
    lab.play()


def test_two_runs_at_the_same_time(lab: Lab) -> None:
    both: dict[str, Any] = {"registry_tls_names": [HOST, "both.lab"], "registry_tls_days": 100}
    runs = [lab.start(**both), lab.start(**both)]
    outputs = [run.communicate(timeout=600)[0] for run in runs]
    # One may find the container taken away under its hands, and says so.
    assert all(run.returncode in (0, 2) for run in runs), outputs
    assert all("Traceback" not in output for output in outputs), outputs
    lab.play(**both)
    lab.play()


# Files are broken


BROKEN = [
    (SERVER, "/srv/registry/ca/ca.crt"),
    (SERVER, "/srv/registry/ca/ca.key"),
    (SERVER, "/srv/registry/certs/registry.crt"),
    (SERVER, "/srv/registry/certs/registry.key"),
    (SERVER, "/srv/registry/auth/htpasswd"),
    (SERVER, "/srv/registry/config/config.yml"),
    (SERVER, "/etc/docker/daemon.json"),
    (CLIENT, f"/etc/docker/certs.d/{REGISTRY}/ca.crt"),
    (CLIENT, "/root/.docker/config.json"),
]


def test_a_broken_file_is_named_and_left_alone(lab: Lab) -> None:
    for host, path in BROKEN:
        lab.on(
            host,
            f"cp --preserve=all {path} /root/kept; head --bytes=300 /dev/urandom >/root/garbled;"
            f"cat /root/garbled >{path}",
        )
        failed = lab.play("--limit", host, fails=True)
        assert path in failed.output.split("[ERROR]", 1)[-1]
        assert failed.changes == (), path
        lab.on(host, f"cmp /root/garbled {path}; cp --preserve=all /root/kept {path}; rm /root/kept")


def test_a_truncated_certificate_is_named_and_left_alone(lab: Lab) -> None:
    path = "/srv/registry/certs/registry.crt"
    lab.on(SERVER, f"cp --preserve=all {path} /root/kept; truncate --size=300 {path}")
    failed = lab.play("--limit", SERVER, fails=True)
    assert path in failed.output
    lab.on(SERVER, f"cp --preserve=all /root/kept {path}; rm /root/kept")


# The engine


def test_an_engine_that_was_stopped_is_started(lab: Lab) -> None:
    lab.on(SERVER, "systemctl stop docker.socket docker")
    assert lab.play().changes == (f"{SERVER}: Start the engine now and at boot, by systemd",)


def test_an_engine_that_hangs_is_told(lab: Lab) -> None:
    lab.on(SERVER, "kill -STOP $(pidof dockerd)")
    try:
        failed = lab.play("--limit", SERVER, fails=True)
    finally:
        lab.on(SERVER, "kill -CONT $(pidof dockerd)")
    assert "does not answer" in failed.output
    assert failed.changes == ()


# Time


@pytest.mark.parametrize(("begin", "end"), [(-40, -1), (30, 60)], ids=["expired", "not yet valid"])
def test_a_certificate_out_of_its_time_is_made_anew(lab: Lab, kept: str, begin: int, end: int) -> None:
    """Expired while no run could renew it; or the clock was set back before its beginning."""
    lab.on(
        SERVER,
        f"""
        cd /srv/registry/certs
        python3 - {begin} {end} <<'END'
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

begin, end = (datetime.datetime.utcnow() + datetime.timedelta(days=int(days)) for days in sys.argv[1:])
old = x509.load_pem_x509_certificate(open("registry.crt", "rb").read())
key = serialization.load_pem_private_key(open("../ca/ca.key", "rb").read(), None)
new = x509.CertificateBuilder(
    old.issuer, old.subject, old.public_key(), old.serial_number + 1, begin, end, list(old.extensions)
).sign(key, hashes.SHA256())
open("registry.crt", "wb").write(new.public_bytes(serialization.Encoding.PEM))
END
        docker restart registry
        """,
    )
    assert "certificate has expired or is not yet valid" in pull_anew(lab, kept, fails=True)
    lab.play()


# Hands


def test_users_changed_by_hand_are_as_wanted_again(lab: Lab) -> None:
    since = started(lab)
    eve = "eve:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC"
    lab.on(SERVER, f"echo '{eve}' >/srv/registry/auth/htpasswd")
    assert lab.play().changes == (f"{SERVER}: Let exactly these users in",)
    assert lab.on(SERVER, "cut -d: -f1 /srv/registry/auth/htpasswd") == "moby"
    assert started(lab) == since


def test_container_and_image_removed_by_hand_come_back(lab: Lab) -> None:
    lab.on(SERVER, "docker rm --force registry")
    assert lab.play().changes == (f"{SERVER}: Run the registry's container",)
    lab.on(SERVER, "docker rm --force registry; docker rmi --force $(docker images --quiet)")
    assert lab.play().changes == (
        f"{SERVER}: Build an image from the distribution's package docker-registry",
        f"{SERVER}: Run the registry's container",
    )


# The disk


def test_a_disk_that_is_full_when_a_client_pushes(lab: Lab) -> None:
    small: dict[str, Any] = {"registry_endpoint_name": "small", "registry_endpoint_port": 5200}
    address = f"{HOST}:5200"
    lab.on(SERVER, "mkdir -p /srv/small/data; mount -t tmpfs -o size=16m tmpfs /srv/small/data")
    lab.play(**small)
    push(lab, f"{address}/little:1", 5_000_000)
    push(lab, f"{address}/big:1", 30_000_000, fails=True)
    pull_anew(lab, f"{address}/little:1")
    lab.on(SERVER, "mount -o remount,size=100m /srv/small/data")
    lab.on(CLIENT, f"docker push {address}/big:1")
    pull_anew(lab, f"{address}/big:1")
    lab.play(playbook="teardown", **small)
    lab.on(SERVER, "umount /srv/small/data; rm -r /srv/small")
