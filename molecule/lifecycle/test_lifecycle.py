# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one registry, changed by variables only. Each test begins with the registry as the former one left it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, CLIENT = "lifecycle-server", "lifecycle-client"
HOST = "lifecycle.lab"
REGISTRY = f"{HOST}:5000"
EVERYBODY = "/usr/local/share/ca-certificates"
"""Where Debian has what all programs of a host trust."""

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
MOBY = {"name": "moby", "password": "gordon", "cost": 5}


def started(lab: Lab) -> str:
    return lab.on(SERVER, "docker inspect --format '{{.Id}} {{.State.StartedAt}}' registry")


def served_fingerprint(lab: Lab) -> str:
    return lab.on(
        CLIENT,
        f"openssl s_client -connect {REGISTRY} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256",
    )


NEW_ANCHOR = (
    f"{SERVER}: Bring the trust anchor to the controller, for the clients",
    f"{CLIENT}: Set what the host's engines trust, and who is logged in",
)
"""What check mode can not foresee: what clients will trust, once the controller has another trust anchor or none."""


@pytest.fixture(scope="module")
def pull(lab: Lab) -> Callable[[], str]:
    """Pull, on the client, the image that was pushed there when the registry was new."""
    image = f"{REGISTRY}/team/kept:1"
    lab.on(
        CLIENT,
        f"cd $(mktemp -d); head --bytes=100000 /dev/urandom >random; tar -c random | docker import - {image};"
        f"docker push {image}",
    )

    def again() -> str:
        lab.on(CLIENT, f"docker rmi {image}")
        return lab.on(CLIENT, f"docker pull {image}")

    return again


# Certificates


def test_a_certificate_is_renewed_inside_its_window_only(lab: Lab, pull: Callable[[], str]) -> None:
    lab.play(registry_tls_days=40, registry_tls_force=True)
    old, since = served_fingerprint(lab), started(lab)
    assert lab.play(registry_tls_renew_before=35).changes == ()
    renewed = lab.change(registry_tls_renew_before=41)
    assert "renewal is due 41 days before" in renewed.output
    assert served_fingerprint(lab) != old
    assert started(lab) != since
    pull()


def test_names_and_type_of_key_change(lab: Lab, pull: Callable[[], str]) -> None:
    since = started(lab)
    names = [HOST, "moved.lab", "192.0.2.10"]
    lab.change(registry_tls_names=names, registry_tls_key_type="rsa", registry_tls_key_size=2048)
    assert started(lab) != since
    answer = lab.on(
        CLIENT,
        f"openssl s_client -connect {REGISTRY} -verify_hostname moved.lab -verify_return_error"
        f" -CAfile /etc/docker/certs.d/{REGISTRY}/ca.crt </dev/null",
    )
    assert "Server public key is 2048 bit" in answer
    pull()


def test_a_certificate_is_brought_along_and_given_back(lab: Lab, pull: Callable[[], str], tmp_path: Path) -> None:
    own = served_fingerprint(lab)
    provided = _chain(lab, tmp_path)
    since = started(lab)
    lab.change(unforeseen=NEW_ANCHOR, **provided)
    assert started(lab) != since
    shown = lab.on(CLIENT, f"openssl s_client -connect {REGISTRY} -showcerts </dev/null")
    assert shown.count("BEGIN CERTIFICATE") == 2
    pull()
    # As if the root were one that everybody trusts. Docker reads those when it starts.
    for host in (SERVER, CLIENT):
        lab.on(
            host,
            f"cat >{EVERYBODY}/root.crt <<'END'\n{provided['registry_tls_ca_certificate']}END\nupdate-ca-certificates",
        )
    lab.on(CLIENT, "systemctl restart docker")
    public = {**provided, "registry_tls_ca_certificate": ""}
    lab.change(unforeseen=NEW_ANCHOR, **public)
    assert lab.there(CLIENT, "/etc/docker/certs.d") == ""
    pull()
    for host in (SERVER, CLIENT):
        lab.on(host, f"rm {EVERYBODY}/root.crt; update-ca-certificates --fresh")
    lab.on(CLIENT, "systemctl restart docker")
    elsewhere = {**provided, "registry_endpoint_controller_directory": str(tmp_path / "new" / "controller")}
    lab.play(**elsewhere)
    assert lab.play(**elsewhere).changes == ()
    pull()
    leaf, intermediate = provided["registry_tls_certificate"].split("-----END CERTIFICATE-----\n")[:2]
    swapped = "-----END CERTIFICATE-----\n".join([intermediate, leaf, ""])
    refused = lab.play(fails=True, **{**provided, "registry_tls_certificate": swapped})
    assert "registry_tls_certificate: " in refused.output
    assert refused.changes == ()
    lab.play()
    assert served_fingerprint(lab) != own
    pull()


def _chain(lab: Lab, tmp_path: Path) -> dict[str, Any]:
    """A certificate below an intermediate CA below a root, made by openssl."""
    lab.on(
        CLIENT,
        f"""
        rm -rf /root/chain; mkdir /root/chain; cd /root/chain
        ca='basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign'
        openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -days 900 -subj /CN=Root
        openssl req -newkey rsa:2048 -nodes -keyout middle.key -out middle.csr -subj /CN=Middle
        openssl x509 -req -in middle.csr -CA root.crt -CAkey root.key -CAcreateserial -days 800 -out middle.crt \
          -extfile <(echo "$ca")
        openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN={HOST}
        openssl x509 -req -in leaf.csr -CA middle.crt -CAkey middle.key -CAcreateserial -days 90 -out leaf.crt \
          -extfile <(echo subjectAltName=DNS:{HOST})
        """,
    )
    return {
        "registry_tls_source": "provided",
        "registry_tls_certificate": lab.on(CLIENT, "cat /root/chain/leaf.crt /root/chain/middle.crt") + "\n",
        "registry_tls_private_key": lab.on(CLIENT, "cat /root/chain/leaf.key") + "\n",
        "registry_tls_ca_certificate": lab.on(CLIENT, "cat /root/chain/root.crt") + "\n",
    }


def test_a_renewed_ca_is_one_that_clients_trust_already(lab: Lab, pull: Callable[[], str]) -> None:
    since, anchor = started(lab), anchors(lab)
    renewed: dict[str, Any] = {"registry_tls_ca_days": 5000, "registry_tls_ca_renew_before": 3700}
    lab.play("--limit", SERVER, **renewed)
    pull()
    assert started(lab) == since
    lab.play(**renewed)
    assert anchors(lab) != anchor
    pull()


def test_a_ca_is_not_rotated_while_a_client_is_out_of_reach(lab: Lab, pull: Callable[[], str], tmp_path: Path) -> None:
    inventory = tmp_path / "ghost.ini"
    inventory.write_text(
        "[registry_clients]\n"
        f"ghost ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9 registry_endpoint_host={HOST}\n"
    )
    served = served_fingerprint(lab)
    run = lab.start(f"--inventory={inventory}", "--limit=lifecycle,ghost", playbook="rotate_ca")
    output = run.communicate(timeout=600)[0]
    assert run.returncode != 0
    assert "do not trust the next one yet: ghost." in output
    assert served_fingerprint(lab) == served
    pull()


def test_a_ca_is_rotated_while_a_client_pulls(lab: Lab, pull: Callable[[], str]) -> None:
    anchor = anchors(lab)
    # What a rotation leaves that was interrupted after its switch, and brought to its end by site.yml.
    lab.on(
        SERVER,
        "cd /srv/registry/ca; cp -p ca.crt next.crt; cp -p ca.key next.key; cp ca.crt former.crt;"
        "touch --date=@1000000000 former.crt",
    )
    image = f"{REGISTRY}/team/kept:1"
    lab.on(
        CLIENT,
        f"""
        rm -f /root/pulls
        cat >/root/pulls.sh <<'END'
        while docker rmi {image}; do
          until docker pull {image} &>/root/pull; do echo $(cat /root/pull) >>/root/pulls; done
          echo pulled >>/root/pulls
        done
END
        systemd-run --unit=pulls bash /root/pulls.sh
        """,
    )
    lab.play(playbook="rotate_ca")
    lab.on(CLIENT, f"sleep 1; systemctl stop pulls; docker image inspect {image} || docker pull {image}")
    pulls = lab.on(CLIENT, "cat /root/pulls").splitlines()
    failures = [number for number, line in enumerate(pulls) if line != "pulled"]
    # All in one row, while the container was replaced, and none for a certificate. Until the registry listens, the
    # engine's proxy may take connections and close them.
    away = ("connection refused", "EOF", "connection reset")
    assert all(any(word in pulls[number] for word in away) for number in failures), pulls
    assert not failures or failures[-1] - failures[0] < len(failures), pulls
    assert pulls[-1] == "pulled"
    assert anchors(lab) != anchor
    assert len(anchors(lab)) == 1
    assert lab.on(SERVER, "ls /srv/registry/ca").split() == ["ca.crt", "ca.key"]
    assert lab.play().changes == ()
    pull()


def anchors(lab: Lab) -> list[str]:
    """The serial numbers of the certificates that the client trusts."""
    shown = lab.on(CLIENT, f"openssl storeutl -certs -noout -text /etc/docker/certs.d/{REGISTRY}/ca.crt")
    return re.findall(r"Serial Number:\s*(\S+)", shown)


# Users


def test_users_come_and_go_without_a_restart(lab: Lab, pull: Callable[[], str]) -> None:
    def login(name: str, password: str, *, fails: bool = False) -> str:
        return lab.on(
            CLIENT,
            f"docker --config /root/other login -u {name} --password-stdin {REGISTRY} <<<{password}",
            fails=fails,
        )

    since = started(lab)
    robot = {"name": "robot", "password": "one-of-robots", "cost": 5}
    lab.play(registry_auth_users=[MOBY, robot])
    login("robot", "one-of-robots")
    lab.play(registry_auth_users=[MOBY, {**robot, "password": "two-of-robots"}])
    assert "401 Unauthorized" in login("robot", "one-of-robots", fails=True)
    login("robot", "two-of-robots")
    lab.play(registry_auth_users=[MOBY, {**robot, "password": "two-of-robots", "cost": 6}])
    assert "$06$" in lab.on(SERVER, "grep ^robot: /srv/registry/auth/htpasswd | cut -c1-14")
    login("robot", "two-of-robots")
    lab.change(registry_auth_users=[{**MOBY, "password": "flash-of-moby"}])
    assert "401 Unauthorized" in login("robot", "two-of-robots", fails=True)
    pull()
    lab.play()
    pull()
    assert started(lab) == since


# Images and configuration


def test_a_configuration_that_does_not_serve_is_taken_back(lab: Lab, pull: Callable[[], str]) -> None:
    before = lab.on(SERVER, "cat /srv/registry/config/config.yml")
    # Known to the schema, but the registry can not listen on an address that the container does not have.
    failed = lab.play(
        fails=True, registry_server_start_timeout=5, registry_server_config={"http": {"addr": "192.0.2.1:5000"}}
    )
    assert "the former image and configuration run again" in " ".join(failed.output.split())
    assert lab.on(SERVER, "cat /srv/registry/config/config.yml") == before
    pull()
    assert lab.play().changes == ()


def test_an_image_that_does_not_serve_is_taken_back(lab: Lab, pull: Callable[[], str], tmp_path: Path) -> None:
    image = lab.on(SERVER, "docker inspect --format '{{.Image}}' registry")
    archive = tmp_path / "broken.tar"
    lab.on(SERVER, "tar -c -C /etc hostname | docker import --change 'ENTRYPOINT [\"/none\"]' - example/broken:2")
    lab.on(SERVER, "docker save --output /root/broken.tar example/broken:2; docker rmi example/broken:2")
    archive.write_bytes(lab.read(SERVER, "/root/broken.tar"))
    broken: dict[str, Any] = {
        "registry_server_image_source": "archive",
        "registry_server_image_archive": str(archive),
        "registry_server_image": "example/broken:2",
    }
    failed = lab.play(fails=True, registry_server_start_timeout=5, **broken)
    assert "the former image and configuration run again" in " ".join(failed.output.split())
    assert lab.on(SERVER, "docker inspect --format '{{.Image}}' registry") == image
    pull()
    assert lab.play().changes == ()


# Engine and host


def test_the_registry_comes_back_after_a_reboot(lab: Lab, pull: Callable[[], str]) -> None:
    lab.reboot(SERVER)
    assert lab.play().changes == ()
    pull()


# Several registries on one host

SECOND: dict[str, Any] = {
    "registry_endpoint_name": "second",
    "registry_endpoint_port": 5010,
    "registry_auth_users": [{"name": "ann", "password": "of her own", "cost": 5}],
}


def test_a_second_registry_comes_and_goes(lab: Lab, pull: Callable[[], str]) -> None:
    since = started(lab)
    lab.play(**SECOND)
    anchors = lab.on(CLIENT, "sha256sum /etc/docker/certs.d/*/ca.crt | cut -d' ' -f1 | sort -u | wc -l")
    assert anchors == "2"
    lab.on(CLIENT, f"docker --config /root/none login -u moby -p gordon {HOST}:5010", fails=True)
    lab.on(CLIENT, f"docker --config /root/none login -u ann -p 'of her own' {HOST}:5010")
    assert lab.play().changes == ()
    pull()
    lab.play(playbook="teardown", **SECOND, registry_server_purge_data=True)
    assert lab.on(SERVER, "ls /srv; docker ps --all --format '{{.Names}}'") == "registry\nregistry"
    assert lab.on(CLIENT, "ls /etc/docker/certs.d") == REGISTRY
    assert started(lab) == since
    assert lab.play().changes == ()
    pull()


# Another name and address


def test_a_registry_moves_with_all_it_has(lab: Lab, pull: Callable[[], str]) -> None:
    moved: dict[str, Any] = {
        "registry_endpoint_name": "moved",
        "registry_endpoint_host": "moved.lab",
        "registry_endpoint_port": 5001,
        "registry_endpoint_former": {"name": "registry", "host": HOST, "port": 5000},
    }
    lab.play("--check", **moved)
    pull()
    lab.play(**moved)
    assert lab.on(SERVER, "ls /srv; docker ps --all --format '{{.Names}}'") == "moved\nmoved"
    assert traces_of_the_registry(lab) == []
    assert lab.on(CLIENT, "ls /etc/docker/certs.d") == "moved.lab:5001"
    lab.on(CLIENT, "docker pull moved.lab:5001/team/kept:1; docker rmi moved.lab:5001/team/kept:1")
    assert lab.play(**moved).changes == ()
    lab.play(registry_endpoint_former={"name": "moved", "host": "moved.lab", "port": 5001})
    assert lab.on(SERVER, "ls /srv; docker ps --all --format '{{.Names}}'") == "registry\nregistry"
    assert lab.on(CLIENT, "ls /etc/docker/certs.d; grep -c lab: /root/.docker/config.json") == f"{REGISTRY}\n1"
    assert lab.play().changes == ()
    pull()


@pytest.fixture
def ipv6() -> Iterator[str]:
    """The server's address in a network of IPv6, which the client is in as well."""
    name = "stronghold-lab-ipv6"
    docker("network", "create", "--ipv6", "--subnet", "fd00:5000::/64", name)
    try:
        for host in (SERVER, CLIENT):
            docker("network", "connect", name, host)
        yield docker(
            "inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{name}").GlobalIPv6Address}}}}', SERVER
        )
    finally:
        for host in (SERVER, CLIENT):
            docker("network", "disconnect", name, host)
        docker("network", "rm", name)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_a_registry_is_named_by_an_ipv6_address(lab: Lab, pull: Callable[[], str], ipv6: str) -> None:
    """The server's engine is too old for images of such names, but can publish the port."""
    moved: dict[str, Any] = {"registry_endpoint_host": ipv6, "registry_endpoint_former": {"host": HOST, "port": 5000}}
    lab.play(**moved)
    assert lab.on(CLIENT, "ls /etc/docker/certs.d") == f"[{ipv6}]:5000"
    lab.on(CLIENT, f"docker pull '[{ipv6}]:5000/team/kept:1'; docker rmi '[{ipv6}]:5000/team/kept:1'")
    lab.on(CLIENT, f"docker --config /root/none pull '[{ipv6}]:5000/team/kept:1'", fails=True)
    assert lab.play(**moved).changes == ()
    lab.play(registry_endpoint_host=ipv6, playbook="check")
    lab.play(registry_endpoint_former={"host": ipv6, "port": 5000})
    assert lab.on(CLIENT, "ls /etc/docker/certs.d") == REGISTRY
    pull()


# The tutorial's stages, one after the other and back


def test_stages_follow_each_other_both_ways(lab: Lab, pull: Callable[[], str]) -> None:
    insecure = ["/etc/docker/daemon.json"]
    trusted = [f"/etc/docker/certs.d/{REGISTRY}"]
    logged_in = [*trusted, "/root/.docker/config.json"]
    for stage, act, traces in (
        ("1-insecure", lab.change, insecure),
        ("2-self-signed", lab.play, trusted),
        ("3-authenticated", lab.play, logged_in),
        ("2-self-signed", lab.play, trusted),
        ("1-insecure", lab.play, insecure),
    ):
        act(f"-e@{TUTORIAL}/{stage}.yml", registry_endpoint_host=HOST)
        assert traces_of_the_registry(lab) == traces, stage
        pull()


def traces_of_the_registry(lab: Lab) -> list[str]:
    """The files and directories on the client that name the registry."""
    named = f"-type d -name '{REGISTRY}' -o -type f -name '*.json' -exec grep -q '{REGISTRY}' {{}} ';'"
    places = lab.there(CLIENT, "/etc/docker", "/root/.docker")
    return lab.on(CLIENT, f"find {places} '(' {named} ')' -print | sort").splitlines()


def test_teardown_leaves_the_hosts_as_they_were(lab: Lab) -> None:
    lab.play()
    lab.play(playbook="teardown")
    assert lab.on(SERVER, "ls /srv/registry; docker ps --all --quiet; ls -A /etc/docker") == "data\nkey.json"
    assert traces_of_the_registry(lab) == []
    assert lab.on(CLIENT, "ls -A /etc/docker") == ""
    assert lab.play("--check", playbook="teardown").changes == ()
