# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module client_trust, judged by openssl and by an engine that reloads what it wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.tests.modules._dockerd import Dockerd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., dict[str, Any]]
    Command = Callable[..., str]

REGISTRY = "registry.lab:5000"


@pytest.fixture
def dockerd() -> Iterator[Dockerd]:
    engine = Dockerd()
    yield engine
    engine.close()


@pytest.fixture
def trust(run_module: Run, dockerd: Dockerd) -> Run:
    """Run the module on the directory and the socket of the throw-away engine."""

    def run(**params: Any) -> dict[str, Any]:
        places = {"docker_directory": str(dockerd.config.parent), "docker_socket": str(dockerd.socket)}
        return run_module("client_trust", **{"registry": REGISTRY, "engines": ["docker"], **places, **params})

    return run


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authority")


@pytest.fixture
def anchor(authority: Path, command: Command) -> str:
    return make_authority(authority, "ca", command)


def make_authority(directory: Path, name: str, command: Command) -> str:
    path = directory / f"{name}.crt"
    if not path.exists():
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        files = ["-keyout", directory / f"{name}.key", "-out", path]
        command("openssl", "req", "-x509", *curve, "-subj", f"/CN={name}", *files)
    return path.read_text()


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def test_a_trust_anchor_is_put_where_docker_reads_it(
    trust: Run, dockerd: Dockerd, anchor: str, authority: Path, command: Command
) -> None:
    predicted = trust(ca_certificate=anchor, check=True)
    assert files_below(dockerd.config.parent) == []
    result = trust(ca_certificate=anchor)
    path = dockerd.config.parent / "certs.d" / REGISTRY / "ca.crt"
    assert result == predicted
    assert (result["reasons"], result["trust_files"]) == ([f"{path}: is not there"], [str(path)])
    assert (result["engines"], result["reload_required"]) == (["docker"], False)
    assert [part.stat().st_mode & 0o7777 for part in (path, path.parent, path.parent.parent)] == [
        0o644,
        0o755,
        0o755,
    ]
    fingerprint = ("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in")
    assert command(*fingerprint, path) == command(*fingerprint, authority / "ca.crt")
    again = trust(ca_certificate=f"# a comment\n{anchor}\n")
    assert (again["changed"], again["reasons"]) == (False, [])


def test_another_trust_anchor_replaces_it(
    trust: Run, dockerd: Dockerd, anchor: str, authority: Path, command: Command
) -> None:
    trust(ca_certificate=anchor)
    other = make_authority(authority, "other", command)
    result = trust(ca_certificate=anchor + other)
    path = dockerd.config.parent / "certs.d" / REGISTRY / "ca.crt"
    assert result["reasons"] == [f"{path}: has another certificate"]
    assert result["diff"]["before"].count("SHA-256") == 1
    assert result["diff"]["after"].count("SHA-256") == 2
    assert path.read_text() == anchor + other


def test_modes_are_mended(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    trust(ca_certificate=anchor)
    path = dockerd.config.parent / "certs.d" / REGISTRY / "ca.crt"
    path.chmod(0o600)
    path.parent.chmod(0o700)
    assert trust(ca_certificate=anchor)["changed"]
    assert [part.stat().st_mode & 0o7777 for part in (path, path.parent)] == [0o644, 0o755]
    assert not trust(ca_certificate=anchor)["changed"]


def test_absence_leaves_the_directory_as_it_was(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    trust(ca_certificate=anchor)
    predicted = trust(state="absent", check=True)
    result = trust(state="absent")
    assert result == predicted
    assert result["changed"]
    assert list(dockerd.config.parent.iterdir()) == []
    assert trust(state="absent")["changed"] is False


def test_files_of_others_are_kept_and_told(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    trust(ca_certificate=anchor)
    trust(ca_certificate=anchor, registry="other.lab:5000")
    foreign = dockerd.config.parent / "certs.d" / REGISTRY / "client.cert"
    foreign.write_text("not ours")
    result = trust(state="absent")
    assert result["foreign"] == [str(foreign)]
    assert files_below(dockerd.config.parent) == [
        "certs.d/other.lab:5000/ca.crt",
        f"certs.d/{REGISTRY}/client.cert",
    ]
    assert trust(state="absent")["changed"] is False


def test_an_engine_follows_from_insecure_to_tls_and_away(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    dockerd.config.write_text('{"insecure-registries": ["old.lab:5000"]}')
    dockerd.start()
    trust(ca_certificate=anchor)
    assert dockerd.insecure() == {"old.lab:5000"}

    result = trust(security="insecure")
    assert (result["changed"], result["reload_required"]) == (True, True)
    assert files_below(dockerd.config.parent) == ["daemon.json", "daemon.json.bak"]
    missed = trust(security="insecure")
    assert (missed["changed"], missed["reload_required"]) == (False, True)
    dockerd.reload()
    assert dockerd.insecure() == {"old.lab:5000", REGISTRY}
    assert trust(security="insecure")["reload_required"] is False

    result = trust(ca_certificate=anchor)
    assert (result["changed"], result["reload_required"]) == (True, True)
    dockerd.reload()
    assert dockerd.insecure() == {"old.lab:5000"}

    trust(state="absent")
    assert json.loads(dockerd.config.read_text()) == {"insecure-registries": ["old.lab:5000"]}
    assert trust(state="absent")["reload_required"] is False


def test_the_last_insecure_registry_is_gone_from_the_engine_after_one_reload(
    trust: Run, dockerd: Dockerd, anchor: str
) -> None:
    trust(security="insecure")
    dockerd.start()
    assert dockerd.insecure() == {REGISTRY}
    result = trust(ca_certificate=anchor)
    assert (result["reload_required"], result["placeholders"]) == (True, ["insecure-registries"])
    dockerd.reload()
    assert dockerd.insecure() == set()
    settled = trust(ca_certificate=anchor)
    assert (settled["changed"], settled["reload_required"], settled["placeholders"]) == (True, False, [])
    assert files_below(dockerd.config.parent) == [f"certs.d/{REGISTRY}/ca.crt"]
    assert trust(ca_certificate=anchor)["changed"] is False


def test_a_flag_that_makes_the_registry_insecure_is_refused(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    dockerd.config.write_text("{}")
    dockerd.start(f"--insecure-registry={REGISTRY}")
    assert "with the flag --insecure-registry" in trust(ca_certificate=anchor, fails=True)["msg"]
    assert "as the flag --insecure-registry" in trust(security="insecure", fails=True)["msg"]
    assert trust(state="absent")["changed"] is False
    assert trust(ca_certificate=anchor, registry="other.lab:5000")["changed"]


def test_a_public_authority_needs_no_file(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    assert trust()["changed"] is False
    trust(ca_certificate=anchor)
    assert trust()["changed"]
    assert files_below(dockerd.config.parent) == []


def test_a_private_key_is_refused_and_not_shown(trust: Run, dockerd: Dockerd, anchor: str, authority: Path) -> None:
    key = (authority / "ca.key").read_text()
    for text in (key, anchor + key):
        result = trust(ca_certificate=text, fails=True)
        assert "it holds a private key" in result["msg"]
        assert key.splitlines()[1] not in json.dumps(result)
    assert files_below(dockerd.config.parent) == []


@pytest.mark.parametrize(
    "text",
    [
        "registry-ca.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_a_certificate_that_is_none_is_refused(trust: Run, dockerd: Dockerd, text: str) -> None:
    assert trust(ca_certificate=text, fails=True)["msg"].startswith("ca_certificate: ")
    assert files_below(dockerd.config.parent) == []


@pytest.mark.parametrize(
    ("registry", "told"),
    [
        ("https://registry.lab:5000", "has a scheme"),
        ("registry.lab:5000/team", "has a slash"),
        ("", "is empty"),
        ("registry.lab:70000", "70000 is outside 1 to 65535"),
        ("registry.lab:", "'' is not a whole number"),
        ("Registry.lab:5000", "write 'registry.lab'"),
        ("../../etc:1", "has a slash"),
        ("..", "not a valid name"),
        ("fd00::1", "write it in brackets"),
        ("registry", "neither a dot nor a port"),
    ],
)
def test_a_registry_that_is_no_address_is_refused(trust: Run, registry: str, told: str) -> None:
    message = trust(registry=registry, fails=True)["msg"]
    assert message.startswith("registry: ")
    assert told in message


def test_a_file_that_is_no_certificate_is_replaced_by_force_only(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    path = dockerd.config.parent / "certs.d" / REGISTRY / "ca.crt"
    path.parent.mkdir(parents=True)
    path.write_text("notes of mine\n")
    assert f"{path} is no certificate" in trust(ca_certificate=anchor, fails=True)["msg"]
    assert path.read_text() == "notes of mine\n"
    assert trust(ca_certificate=anchor, force=True)["reasons"] == [f"{path}: is no certificate"]
    assert path.read_text() == anchor


def test_a_daemon_json_that_is_broken_stops_everything(trust: Run, dockerd: Dockerd, anchor: str) -> None:
    dockerd.config.write_text("{")
    for params in ({"security": "insecure"}, {"ca_certificate": anchor}, {"state": "absent"}):
        assert "is not JSON" in trust(**params, fails=True)["msg"]
    assert files_below(dockerd.config.parent) == ["daemon.json"]


@pytest.fixture
def elsewhere(run_module: Run, tmp_path: Path) -> Run:
    """Run the module for other engines than Docker, with their files in a directory of the test's."""

    def run(**params: Any) -> dict[str, Any]:
        places = {
            "containerd_directory": str(tmp_path / "containerd"),
            "containers_directory": str(tmp_path / "containers"),
        }
        return run_module(
            "client_trust", **{"registry": REGISTRY, "engines": ["containerd", "podman"], **places, **params}
        )

    return run


@pytest.mark.parametrize(
    ("config", "directory", "warned"),
    [
        ("", "containerd/certs.d", True),
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "DIR/hosts"\n', "hosts", False),
        (
            'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n'
            'config_path = "DIR/hosts:DIR/containerd/certs.d"\n',
            "containerd/certs.d",
            False,
        ),
        ('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n', "containerd/certs.d", False),
    ],
)
def test_containerd_itself_says_where_it_reads(
    elsewhere: Run, tmp_path: Path, anchor: str, config: str, directory: str, warned: bool
) -> None:
    (tmp_path / "containerd").mkdir()
    (tmp_path / "containerd/config.toml").write_text(config.replace("DIR", str(tmp_path)))
    predicted = elsewhere(ca_certificate=anchor, engines=["containerd"], check=True)
    assert not (tmp_path / directory).exists()
    result = elsewhere(ca_certificate=anchor, engines=["containerd"])
    assert result == predicted
    assert result["trust_files"] == [str(tmp_path / directory / REGISTRY / "hosts.toml")]
    assert files_below(tmp_path / directory / REGISTRY) == ["ca.crt", "hosts.toml"]
    assert ("config_path" in str(result.get("warnings", ""))) is warned
    assert elsewhere(ca_certificate=anchor, engines=["containerd"])["changed"] is False
    assert elsewhere(state="absent", engines=["containerd"])["changed"]
    assert files_below(tmp_path) == ["containerd/config.toml"]


def test_a_configuration_that_containerd_cannot_read_stops_everything(
    elsewhere: Run, tmp_path: Path, anchor: str
) -> None:
    (tmp_path / "containerd").mkdir()
    (tmp_path / "containerd/config.toml").write_text("version = [")
    message = elsewhere(ca_certificate=anchor, fails=True)["msg"]
    assert f"{tmp_path}/containerd/config.toml: containerd cannot read it" in message
    assert files_below(tmp_path) == ["containerd/config.toml"]


def test_skopeo_reads_what_podman_is_told(elsewhere: Run, tmp_path: Path, command: Command) -> None:
    elsewhere(security="insecure", registry="127.0.0.1:1", mirrored=["upstream.invalid"], engines=["podman"])
    drop_in = tmp_path / "containers/registries.conf.d/stronghold-127.0.0.1_1.conf"
    image = "docker://upstream.invalid/team/hello:1"
    told = command("sh", "-c", f"! skopeo --debug --registries-conf {drop_in} inspect --no-tags {image} 2>&1")
    tries = [line for line in told.splitlines() if "Trying to access" in line]
    assert ["127.0.0.1:1/team" in tries[0], "upstream.invalid/team" in tries[-1]] == [True, True]


def test_a_login_for_containerd_is_in_no_output(elsewhere: Run, tmp_path: Path, anchor: str) -> None:
    result = elsewhere(ca_certificate=anchor, username="moby", password="a-long-secret")
    hosts = tmp_path / "containerd/certs.d" / REGISTRY / "hosts.toml"
    header = "bW9ieTphLWxvbmctc2VjcmV0"
    assert (hosts.stat().st_mode & 0o777, header in hosts.read_text()) == (0o600, True)
    changed = elsewhere(ca_certificate=anchor, username="moby", password="another-secret")
    assert changed["reasons"] == [f"{hosts}: says something else"]
    for output in map(json.dumps, (result, changed)):
        assert header not in output
        assert "secret" not in output.replace('"password": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"', "")


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"engines": ["moby"]}, "value of engines must be one or more of: auto, docker, rootless_docker, containerd"),
        ({"users": ["nobody-of-that-name"]}, "users: there is no user 'nobody-of-that-name' on this host"),
        ({"mirrored": ["quay.io/team"]}, "mirrored: "),
        ({"username": "moby"}, "username and password: give both or none"),
    ],
)
def test_wrong_parameters_are_named(elsewhere: Run, tmp_path: Path, params: dict[str, Any], told: str) -> None:
    assert told in elsewhere(fails=True, **params)["msg"]
    assert files_below(tmp_path) == []


def test_a_leaf_that_could_not_have_signed_is_refused(
    elsewhere: Run, tmp_path: Path, anchor: str, authority: Path, command: Command
) -> None:
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=leaf")
    command(*new, "-keyout", authority / "leaf.key", "-out", authority / "leaf.csr")
    signed = ("openssl", "x509", "-req", "-in", authority / "leaf.csr", "-out", authority / "leaf.crt")
    command(*signed, "-CA", authority / "ca.crt", "-CAkey", authority / "ca.key", "-CAcreateserial")
    leaf = (authority / "leaf.crt").read_text()
    assert "certificate 2 in it is no CA's" in elsewhere(ca_certificate=anchor + leaf, fails=True)["msg"]
    assert files_below(tmp_path) == []


def test_a_client_certificate_lies_beside_the_anchor(
    elsewhere: Run, tmp_path: Path, anchor: str, authority: Path, command: Command
) -> None:
    pair = {"client_certificate": anchor, "client_key": (authority / "ca.key").read_text()}
    result = elsewhere(ca_certificate=anchor, **pair)
    assert pair["client_key"].splitlines()[1] not in json.dumps(result)
    directory = tmp_path / "containers/certs.d" / REGISTRY
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {
        "ca.crt": 0o644,
        "stronghold.cert": 0o644,
        "stronghold.key": 0o600,
    }
    public = ("openssl", "pkey", "-pubout", "-in", directory / "stronghold.key")
    assert command(*public) == command("openssl", "x509", "-pubkey", "-noout", "-in", directory / "stronghold.cert")
    assert elsewhere(ca_certificate=anchor, **pair)["changed"] is False
    elsewhere(ca_certificate=anchor)
    assert files_below(directory) == ["ca.crt"]
