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
