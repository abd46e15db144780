# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every engine on two clients, refused and let in as a registry and its trust come and go.

Each test begins with the hosts as the former one left them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, CLIENTS = "clients-server", ("clients-client12", "clients-client13")
HOST = "clients.lab"
REGISTRY = f"{HOST}:5000"
IMAGE = f"{REGISTRY}/team/hello:1"

ROOTLESS = "DOCKER_HOST=unix:///run/user/1000/docker.sock"
CTR = "--hosts-dir /etc/containerd/certs.d"


def as_ada(command: str) -> str:
    return f"cd /; su ada -c 'export HOME=/home/ada XDG_RUNTIME_DIR=/run/user/1000; {command}'"


PULLS = {
    "docker": "docker pull {image}",
    "rootless docker": as_ada(f"{ROOTLESS} docker pull {{image}}"),
    "podman": "podman pull {image}",
    "skopeo of a user": as_ada("skopeo inspect --no-tags docker://{image}"),
    "buildah": "buildah pull --policy always {image}",
    "skopeo": "rm -rf /tmp/copy; skopeo copy docker://{image} dir:/tmp/copy",
    "ctr": f"ctr images pull {CTR} {{image}}",
}
PUSHES = {
    "docker": "docker tag hello:1 {image} && docker push {image}",
    "rootless docker": as_ada(f"{ROOTLESS} docker import - {{image}} </hello.tar && {ROOTLESS} docker push {{image}}"),
    "podman": "podman import /hello.tar {image} && podman push {image}",
    "buildah": "buildah push {image}",
    "skopeo": "skopeo copy docker-archive:/hello.img docker://{image}",
    "ctr": "ctr images import /hello.img && ctr images tag --force docker.io/library/hello:1 {image}"
    f" && ctr images push {CTR} {{image}}",
}
USE = "Set what the host's engines trust, and who is logged in"
"""The one task of a client."""

UNTRUSTED = r"x509: (certificate signed by unknown authority|.*not trusted)|certificate signed by unknown authority"
NO_LOGIN = r"no basic auth credentials|unauthorized|authentication required|401 Unauthorized|authorization failed"
PLACES = (
    "/etc/docker",
    "/etc/containers",
    "/etc/containerd",
    "/usr/local/share/ca-certificates",
    "/root/.docker",
    "/root/.config",
    "/home/ada",
)
"""The directories in which files tell an engine of a registry."""


def answers(lab: Lab, host: str, commands: dict[str, str], image: str, *, fails: bool = False) -> dict[str, str]:
    """What each engine says to a pull or push; it has to end well, or with *fails* to fail."""
    return {name: lab.on(host, command.format(image=image), fails=fails) for name, command in commands.items()}


def refused(lab: Lab, host: str, why: str, image: str = IMAGE, *, without: tuple[str, ...] = ()) -> None:
    commands = {name: command for name, command in PULLS.items() if name not in without}
    for name, said in answers(lab, host, commands, image, fails=True).items():
        assert re.search(why, said), f"{host}: {name}: {said}"


def pulled(lab: Lab, image: str = IMAGE, *, without: tuple[str, ...] = ()) -> None:
    for host in CLIENTS:
        answers(lab, host, {name: text for name, text in PULLS.items() if name not in without}, image)


def settings(lab: Lab, host: str) -> str:
    """All files that may tell an engine of a registry, with owner and mode; docker's own identity aside."""
    places = lab.there(host, *PLACES)
    return lab.on(
        host,
        f"find {places} -type f -not -name key.json -not -path '*/.local/*' -printf '%p %u %m %s\\n' | sort",
    )


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, str]:
    """What lies on the clients before anything was done, with an image to push."""
    for host in CLIENTS:
        lab.on(
            host,
            "head -c 100000 /dev/urandom >/random; tar -C / -cf /hello.tar random; docker import /hello.tar hello:1;"
            "docker save -o /hello.img hello:1; chmod 644 /hello.*",
        )
    return {host: settings(lab, host) for host in CLIENTS}


def test_each_engine_is_refused_before_it_trusts(lab: Lab, before: dict[str, str]) -> None:
    lab.play("--limit", SERVER)
    for host in CLIENTS:
        assert REGISTRY not in before[host]
        refused(lab, host, UNTRUSTED)


def test_each_engine_is_refused_without_a_login(lab: Lab) -> None:
    lab.play("--limit", ",".join(CLIENTS), registry_client_login=False)
    for host in CLIENTS:
        refused(lab, host, NO_LOGIN)


def test_each_engine_pushes_and_pulls(lab: Lab) -> None:
    done = lab.change()
    assert sorted(done.changes) == [f"{host}: {USE}" for host in CLIENTS]
    for host in CLIENTS:
        answers(lab, host, PUSHES, IMAGE)
    digest = lab.on(CLIENTS[0], f"skopeo inspect --format '{{{{.Digest}}}}' docker://{IMAGE}")
    pulled(lab, f"{REGISTRY}/team/hello@{digest}")


def test_nothing_was_made_for_engines_that_are_not_there(lab: Lab) -> None:
    assert lab.on(SERVER, f"find {lab.there(SERVER, *PLACES)} -name '*{HOST}*'") == ""


def test_a_login_that_works_no_longer_is_noticed(lab: Lab) -> None:
    users = "/srv/registry/auth/htpasswd"
    lab.on(SERVER, f"cp -p {users} /root/users; sed -i 's/^moby:/robot:/' {users}")
    told = lab.play("--limit", ",".join(CLIENTS), fails=True)
    assert f"{REGISTRY} refuses the password of user moby" in told.output
    assert told.changes == ()
    lab.on(SERVER, f"cp -p /root/users {users}; touch {users}")
    assert lab.play("--limit", ",".join(CLIENTS)).changes == ()


def test_credential_helpers_are_respected(lab: Lab) -> None:
    """A helper of the user's own, which keeps what it is told in a file."""
    host = CLIENTS[0]
    lab.on(
        host,
        r"""
        cat >/usr/local/bin/docker-credential-file <<'END'
#!/bin/sh
umask 077
case $1 in
  store) cat >"$HOME/.helped" ;;
  get) [ -e "$HOME/.helped" ] && cat "$HOME/.helped" || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f "$HOME/.helped" ;;
esac
END
        chmod 755 /usr/local/bin/docker-credential-file
        cp -p /home/ada/.docker/config.json /root/ada.json
        echo '{"credsStore": "file"}' >/home/ada/.docker/config.json
        """,
    )
    assert lab.change("--limit", host).changes == (f"{host}: {USE}",)
    assert lab.on(host, "stat -c '%U %a' /home/ada/.helped") == "ada 600"
    assert 'auth"' not in lab.on(host, "cat /home/ada/.docker/config.json")
    answers(lab, host, {"rootless docker": PULLS["rootless docker"]}, IMAGE)
    lab.on(
        host,
        "rm /home/ada/.helped /usr/local/bin/docker-credential-file;cp -p /root/ada.json /home/ada/.docker/config.json",
    )


def test_images_of_others_come_from_the_mirror(lab: Lab) -> None:
    lab.on(CLIENTS[0], f"skopeo copy docker-archive:/hello.img docker://{REGISTRY}/library/hello:1")
    lab.change("--limit", ",".join(CLIENTS), registry_client_mirrored=["docker.io", "quay.io"])
    docker = ("docker", "rootless docker")
    # Docker asks a mirror without its login.
    pulled(lab, "docker.io/library/hello:1", without=docker)
    pulled(lab, "quay.io/team/hello:1", without=docker)
    lab.play(registry_client_mirrored=["docker.io"], registry_endpoint_authentication="none")
    pulled(lab, "docker.io/library/hello:1")
    for host in CLIENTS:
        answers(
            lab,
            host,
            {name: text for name, text in PULLS.items() if name not in docker},
            "quay.io/team/hello:1",
            fails=True,
        )
    lab.play()
    for host in CLIENTS:
        assert lab.on(host, "ls /etc/containerd/certs.d") == REGISTRY
    pulled(lab)


def test_an_insecure_registry_is_used_over_http(lab: Lab) -> None:
    insecure: dict[str, Any] = {"registry_endpoint_security": "insecure", "registry_endpoint_authentication": "none"}
    lab.play(**insecure)
    assert lab.play(**insecure).changes == ()
    pulled(lab)
    lab.play()
    pulled(lab)


def test_a_registry_that_asks_for_a_certificate_gets_one(lab: Lab) -> None:
    lab.on(
        SERVER,
        """
        rm -rf /root/clients; mkdir /root/clients; cd /root/clients
        new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $new -keyout ca.key -out ca.crt -days 30 -subj /CN=Clients
        openssl req $new -keyout client.key -out client.csr -subj /CN=client
        openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out client.crt \
          -extfile <(echo extendedKeyUsage=clientAuth)
        """,
    )
    pair: dict[str, Any] = {
        "registry_endpoint_client_certificate": lab.on(SERVER, "cat /root/clients/client.crt") + "\n",
        "registry_endpoint_client_key": lab.on(SERVER, "cat /root/clients/client.key") + "\n",
    }
    asking: dict[str, Any] = {"registry_server_client_ca": lab.on(SERVER, "cat /root/clients/ca.crt") + "\n"}
    lab.play("--limit", SERVER, **asking, **pair)
    for host in CLIENTS:
        refused(lab, host, r"tls: (bad certificate|certificate required)|remote error|certificate required")
    lab.change(**asking, **pair)
    # A user other than root can't read the host's key.
    pulled(lab, without=("skopeo of a user",))
    swapped: dict[str, Any] = {
        **pair,
        "registry_endpoint_client_key": lab.on(SERVER, "cat /root/clients/ca.key") + "\n",
    }
    told = lab.play("--limit", CLIENTS[0], fails=True, **asking, **swapped)
    assert "client_key: it is not the key of client_certificate" in told.output
    assert told.changes == ()
    lab.play()
    pulled(lab)


def test_programs_of_the_host_trust_it_when_asked(lab: Lab) -> None:
    verify = f"-verify_hostname {HOST} -verify_return_error -CApath /etc/ssl/certs"
    ask = f"openssl s_client -connect {REGISTRY} {verify} </dev/null"
    lab.on(CLIENTS[0], ask, fails=True)
    engines: dict[str, Any] = {"registry_client_engines": ["auto", "containerd", "system"]}
    lab.change("--limit", ",".join(CLIENTS), **engines)
    for host in CLIENTS:
        lab.on(host, ask)
        lab.on(host, f"python3 -c \"import urllib.request as r; r.urlopen('https://{REGISTRY}/')\"")
    # Nor any longer than it is.
    lab.play("--limit", ",".join(CLIENTS))
    for host in CLIENTS:
        lab.on(host, ask, fails=True)


def test_without_its_trust_anchor_no_client_is_cut_off(lab: Lab, tmp_path: Path) -> None:
    lacking: dict[str, Any] = {
        "registry_endpoint_trust_anchor": str(tmp_path / "ca.crt"),
        "registry_client_login": False,
    }
    run = lab.play("--limit", ",".join(CLIENTS), fails=True, **lacking)
    assert "is not signed by a CA of this system" in " ".join(run.output.split())
    assert run.changes == ()
    pulled(lab)


def test_two_registries_stay_apart(lab: Lab) -> None:
    other: dict[str, Any] = {
        "registry_endpoint_name": "other",
        "registry_endpoint_host": "other.lab",
        "registry_endpoint_port": 5001,
        "registry_auth_users": [{"name": "robot", "password": "a-long-random-secret", "cost": 5}],
    }
    lab.play(**other)
    assert lab.play(**other).changes == ()
    lab.on(CLIENTS[0], "skopeo copy docker-archive:/hello.img docker://other.lab:5001/team/hello:1")
    pulled(lab, "other.lab:5001/team/hello:1")
    pulled(lab)
    lab.play(playbook="teardown", **other)
    for host in CLIENTS:
        # 1 says that nothing was found, 2 that something could not be read.
        lab.on(host, f"grep -rl --exclude-dir=.local other.lab {lab.there(host, *PLACES)} && exit 9 || [ $? -eq 1 ]")
    pulled(lab)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"registry_client_engines": ["moby"]}, "registry_client_engines"),
        ({"registry_client_users": ["root", "nobody"]}, "users: the home of user 'nobody'"),
        ({"registry_client_users": ["grace"]}, "users: there is no user 'grace' on this host"),
        ({"registry_client_mirrored": ["https://quay.io"]}, "mirrored: .* has a scheme"),
        ({"registry_endpoint_password": "flash"}, f"{REGISTRY} refuses the password of user moby"),
    ],
)
def test_bad_input_is_named_and_nothing_changes(lab: Lab, variables: dict[str, Any], told: str) -> None:
    host = CLIENTS[1]
    was = settings(lab, host)
    run = lab.play("--limit", host, fails=True, **variables)
    assert re.search(told, run.output)
    if "registry_endpoint_password" not in variables:
        assert run.changes == ()
        assert settings(lab, host) == was


def test_what_somebody_else_wrote_is_not_overwritten(lab: Lab) -> None:
    host = CLIENTS[1]
    for path in (
        f"/etc/containerd/certs.d/{REGISTRY}/hosts.toml",
        "/etc/containers/registries.conf.d/stronghold-clients.lab_5000.conf",
    ):
        lab.on(host, f"cp -p {path} /root/ours || touch /root/none; echo '# mine' >{path}")
        mirrored: dict[str, Any] = {"registry_client_mirrored": ["quay.io"]}
        told = lab.play("--limit", host, fails=True, **mirrored)
        assert f"{path} was not made by this collection" in told.output
        assert told.changes == ()
        assert lab.on(host, f"cat {path}") == "# mine"
        lab.play("--limit", host, registry_client_force=True, **mirrored)
        assert "mine" not in lab.on(host, f"cat {path}")
        lab.play("--limit", host)


def test_absence_leaves_the_clients_as_they_were(lab: Lab, before: dict[str, str]) -> None:
    announced = lab.play("--check", playbook="teardown")
    done = lab.play("--limit", ",".join(CLIENTS), playbook="teardown")
    assert set(done.changes) <= set(announced.changes)
    for host in CLIENTS:
        assert settings(lab, host) == before[host]
        refused(lab, host, UNTRUSTED)
        assert lab.on(host, "find /etc/ssl/certs -xtype l") == ""
    assert lab.play("--limit", ",".join(CLIENTS), playbook="teardown").changes == ()
