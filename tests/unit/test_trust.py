# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust in a registry: what is asked, the trust anchor, which engines are meant, and their files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from ansible_collections.stronghold.registry.plugins.module_utils import _trust as trust
from ansible_collections.stronghold.registry.plugins.module_utils import _trust_containerd as containerd
from ansible_collections.stronghold.registry.plugins.module_utils import _trust_podman as podman
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import (
    parse_anchor,
    render_anchor,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_certs import plan_certs
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import (
    ABSENT,
    INSECURE,
    TLS,
    Desired,
    parse_desired,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_docker import Docker
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import ContainerEngine
from ansible_collections.stronghold.registry.plugins.module_utils._trust_system import SystemStore
from hypothesis import given
from hypothesis import strategies as st

REGISTRY = "registry.lab:5000"
PEM = """-----BEGIN CERTIFICATE-----
MIIBoDCCAUWgAwIBAgIUeVbYsvn0wx1KhDFyQ0whjSDyXc0wCgYIKoZIzj0EAwIw
JDEiMCAGA1UEAwwZc3Ryb25naG9sZCB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjQw
MDE4MDZaGA8yMTI2MTAzMTAwMTgwNlowJDEiMCAGA1UEAwwZc3Ryb25naG9sZCB0
ZXN0IGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABENGTHJhgNVC
TT6tcrwQKm0trepXCz5M7k5LnS6U+aHUWtqLjJ/17o37QRTnFYBvybgH9A2i2uDF
VO/8VFZUhwWjUzBRMB0GA1UdDgQWBBRau7zf0O9a7mQej4E6+NJa2QsyPDAfBgNV
HSMEGDAWgBRau7zf0O9a7mQej4E6+NJa2QsyPDAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQC5p/lFd1Ega0Cfy6Z5K+Cr/EAXJ6GwWxO4p1cGiz7f
7wIhANknr0O2tz4QZ1+WG9PuiOAt72c5uiMV0eCNbfdpUe2q
-----END CERTIFICATE-----
"""


def desired(**changes: Any) -> Desired:
    given_params = {
        "registry": REGISTRY,
        "state": "present",
        "security": "tls",
        "ca_certificate": "",
        "client_certificate": "",
        "client_key": "",
        "mirrored": [],
        "username": "",
        "password": "",
        "force": False,
        **changes,
    }
    return parse_desired(given_params)


def docker(root: Path) -> Docker:
    return Docker(directory=str(root / "etc/docker"), socket=str(root / "docker.sock"), root=str(root))


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, TLS),
        ({"security": "insecure"}, INSECURE),
        ({"state": "absent"}, ABSENT),
        ({"state": "absent", "security": "insecure"}, ABSENT),
    ],
)
def test_what_is_asked(params: dict[str, str], kind: str) -> None:
    assert desired(**params).trust == kind


def test_an_anchor_is_read_and_written_again() -> None:
    anchor = parse_anchor(f"Subject: CN=ca\n{PEM}\r\nand again\n{PEM}")
    assert len(anchor) == 2
    assert render_anchor(anchor).decode() == PEM * 2
    assert parse_anchor(PEM.replace("\n", "\r\n")) == anchor[:1]
    assert parse_anchor(" \n") == ()


@pytest.mark.parametrize(
    "kind",
    ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"],
)
def test_a_private_key_is_refused_and_not_shown(kind: str) -> None:
    with pytest.raises(RegistryError, match=r"^ca_certificate: it holds a private key") as error:
        parse_anchor(f"{PEM}-----BEGIN {kind}-----\nc2VjcmV0\n-----END {kind}-----\n")
    assert "c2VjcmV0" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text", "no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
            "no certificate in PEM",
        ),
        (PEM.replace("END", "EN"), "no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----",
            "certificate 1 in it cannot be read",
        ),
        (PEM + PEM.replace("MII", "MIJ"), "certificate 2 in it cannot be read"),
        (
            "".join(PEM.splitlines(keepends=True)[:-2]) + "-----END CERTIFICATE-----",
            "certificate 1 in it cannot be read",
        ),
    ],
)
def test_what_is_no_certificate_is_refused(text: str, told: str) -> None:
    with pytest.raises(RegistryError, match=r"^ca_certificate: ") as error:
        parse_anchor(text)
    assert told in str(error.value)


@given(st.text())
def test_any_text_is_an_anchor_or_refused(text: str) -> None:
    try:
        assert parse_anchor(text) == ()
    except RegistryError as error:
        assert str(error).startswith("ca_certificate: ")  # noqa: PT017


def engines(root: Path) -> list[ContainerEngine]:
    """All kinds of engines of a host whose files are below *root*."""
    return [
        docker(root),
        containerd.Containerd(directory=str(root / "etc/containerd"), root=str(root)),
        podman.Podman(directory=str(root / "etc/containers"), root=str(root)),
        SystemStore(root=str(root)),
    ]


def install(root: Path, *programs: str) -> None:
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    for program in programs:
        (root / "usr/bin" / program).touch(mode=0o755)


def chosen(root: Path, *names: str, **params: Any) -> list[str]:
    return [engine.name for engine in trust.chosen_engines(names, engines(root), desired(**params))]


@pytest.mark.parametrize("params", [{}, {"security": "insecure"}])
def test_no_engine_is_an_error_unless_there_is_nothing_to_trust(tmp_path: Path, params: dict[str, str]) -> None:
    with pytest.raises(RegistryError, match=r"^engines: There is no container engine on this host\. Install one"):
        chosen(tmp_path, "auto", **params)
    assert chosen(tmp_path, "auto", state="absent") == []


@pytest.mark.parametrize("name", ["docker", "containerd", "podman"])
def test_an_engine_that_is_named_has_to_be_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryError, match=rf"^engines: '{name}' is named, but not on this host"):
        chosen(tmp_path, "auto", name)
    assert chosen(tmp_path, name, state="absent") == [name]


def test_the_store_of_the_system_has_to_have_its_program(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"^engines: .*Install ca-certificates"):
        chosen(tmp_path, "system")
    install(tmp_path, "update-ca-trust")
    assert chosen(tmp_path, "system") == ["system"]


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        (["dockerd", "containerd"], ["docker"]),
        (["dockerd", "containerd", "nerdctl"], ["docker", "containerd"]),
        (["dockerd", "containerd", "kubelet"], ["docker", "containerd"]),
        (["containerd"], ["containerd"]),
        (["podman"], ["podman"]),
        (["skopeo"], ["podman"]),
        (["crio", "update-ca-certificates"], ["podman"]),
        (["dockerd", "buildah"], ["docker", "podman"]),
    ],
)
def test_engines_are_found_by_what_is_installed(tmp_path: Path, programs: list[str], found: list[str]) -> None:
    install(tmp_path, *programs)
    assert chosen(tmp_path, "auto") == found


def test_containerd_is_in_use_where_it_was_told_of_a_registry(tmp_path: Path) -> None:
    install(tmp_path, "dockerd", "containerd")
    (tmp_path / "etc/containerd/certs.d").mkdir(parents=True)
    assert chosen(tmp_path, "auto") == ["docker", "containerd"]


def test_a_shim_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/docker").write_text("#!/bin/sh\nexec /usr/bin/podman\n")
    with pytest.raises(RegistryError, match=r"Podman's shim"):
        trust.chosen_engines(["auto"], [docker(tmp_path)], desired())


def test_what_an_engine_that_is_gone_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "etc/docker/certs.d" / REGISTRY).mkdir(parents=True)
    known = docker(tmp_path)
    assert chosen(tmp_path, "auto", state="absent") == ["docker"]
    for step in known.plan(desired(state="absent")).steps:
        step.perform()
    assert list((tmp_path / "etc/docker").iterdir()) == []


@pytest.mark.parametrize("registry", ["[fd00::1]:5000", "10.0.0.1:5000", "registry.lab", "localhost"])
def test_the_directory_bears_the_name_of_the_registry(tmp_path: Path, registry: str) -> None:
    certs, asked = str(tmp_path / "certs.d"), desired(registry=registry, ca_certificate=PEM)
    steps, foreign = plan_certs(certs, asked)
    assert ([step.reason for step in steps], foreign) == ([f"{certs}/{registry}/ca.crt: is not there"], ())
    for step in steps:
        step.perform()
    assert (tmp_path / "certs.d" / registry / "ca.crt").read_text() == PEM
    assert plan_certs(certs, asked) == ([], ())


def test_directories_that_are_closed_are_opened(tmp_path: Path) -> None:
    certs, asked = tmp_path / "certs.d", desired(ca_certificate=PEM)
    certs.mkdir(mode=0o700)
    for step in plan_certs(str(certs), asked)[0]:
        step.perform()
    assert [path.stat().st_mode & 0o7777 for path in (certs, certs / REGISTRY)] == [0o755, 0o755]
    assert plan_certs(str(certs), asked) == ([], ())


def test_the_diff_shows_fingerprints(tmp_path: Path) -> None:
    steps, _foreign = plan_certs(str(tmp_path), desired(ca_certificate=PEM))
    assert steps[0].before == ""
    assert steps[0].after.startswith(f"{tmp_path}/{REGISTRY}/ca.crt: SHA-256 ")
    assert "BEGIN" not in steps[0].after


LEAF = """-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUNQsfPT2QE4SgrY0X7aO9k1aeLA4wCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI1MjIwMDM2WhgPMjEyNjExMDEyMjAwMzZa
MBcxFTATBgNVBAMMDHJlZ2lzdHJ5LmxhYjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABPqzWGASJmGQbfumTfRngdV8Qul/NPO+6CmFyZu5h33exa8rBSk5SO/5a2FZ
HS+o9U8gQtMqrrdz6wzMWmLM9wmjaTBnMAwGA1UdEwEB/wQCMAAwFwYDVR0RBBAw
DoIMcmVnaXN0cnkubGFiMB0GA1UdDgQWBBQD09PVgWCHVt+sqXu4zF05uXDXSjAf
BgNVHSMEGDAWgBRCrgxgpIvaIX5KW+sFP8tdC5GIbDAKBggqhkjOPQQDAgNIADBF
AiB0DhVHI5AkuLpPnU+AL8kv8qTsaIf1lti3gv4s1RZeEAIhAJVZCPuJQR29r/Io
zrjYse4wc1N8P3gHwMVhZGnn6aSi
-----END CERTIFICATE-----
"""
SELF_SIGNED = """-----BEGIN CERTIFICATE-----
MIIBejCCASCgAwIBAgIUWuSXarH/FbjlutwfMXas11jXb8IwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMcmVnaXN0cnkubGFiMCAXDTI2MTEyNTIyMDAzNloYDzIxMjYx
MTAxMjIwMDM2WjAXMRUwEwYDVQQDDAxyZWdpc3RyeS5sYWIwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARCX3McYh4v35ebybSHCRhPSGvEOCpfvhjkshUDYB3xY3eB
FASp8GeXZ9LjjxStZyiR9J8GLr/C233csATGMNWUo0gwRjAMBgNVHRMBAf8EAjAA
MBcGA1UdEQQQMA6CDHJlZ2lzdHJ5LmxhYjAdBgNVHQ4EFgQUqAF5bYmLhjkxhJWk
mfC6AtgktS8wCgYIKoZIzj0EAwIDSAAwRQIgTLJlPLYuPmIzxTHnZbrIQOABQOYc
1mciPogYnOJPbXkCIQDZ9lWUta5Mdssc8OqAmbSbzEmAWwdclMcyvXv/tcRGAg==
-----END CERTIFICATE-----
"""


def test_a_leaf_is_no_anchor_unless_it_signed_itself() -> None:
    with pytest.raises(RegistryError, match=r"^ca_certificate: certificate 2 in it is no CA's"):
        desired(ca_certificate=PEM + LEAF)
    assert len(desired(ca_certificate=PEM + SELF_SIGNED).anchor) == 2


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"mirrored": ["https://quay.io"]}, r"^mirrored: .* has a scheme"),
        ({"mirrored": ["quay.io/team"]}, r"^mirrored: .* has a slash"),
        ({"mirrored": ["docker.io", REGISTRY]}, r"^mirrored: registry\.lab:5000 is the registry itself"),
        ({"client_certificate": PEM}, r"^client_certificate and client_key: give both or none"),
        ({"client_key": "x"}, r"^client_certificate and client_key: give both or none"),
        ({"client_certificate": PEM, "client_key": "x", "security": "insecure"}, r"^client_certificate: nothing asks"),
        ({"client_certificate": "x", "client_key": "x"}, r"^client_certificate: it holds no certificate"),
        ({"username": "moby"}, r"^username and password: give both or none"),
        ({"username": "mo:by", "password": "gordon"}, r"^username: has a colon"),
    ],
)
def test_wrong_parameters_are_named(params: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistryError, match=told):
        desired(**params)


def test_what_is_not_trusted_any_more_needs_no_more_than_its_name() -> None:
    asked = desired(state="absent", mirrored=["docker.io"], username="moby", password="gordon")
    assert (asked.client, asked.mirrored, asked.login) == (None, (), None)


def perform(engine: ContainerEngine, asked: Desired) -> list[str]:
    """Do what is planned, see that nothing is planned then, and return the reasons."""
    planned = engine.plan(asked)
    for step in planned.steps:
        step.perform()
    assert engine.plan(asked).steps == ()
    return [step.reason for step in planned.steps]


def files_below(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def settings_below(root: Path) -> dict[str, object]:
    """As files_below, without backups; the order of keys in JSON says nothing."""
    return {
        path: json.loads(text) if path.endswith(".json") else text
        for path, text in files_below(root).items()
        if not path.endswith(".bak")
    }


ALL: dict[str, Any] = {
    "ca_certificate": PEM,
    "mirrored": ["docker.io", "quay.io"],
    "username": "moby",
    "password": "gordon",
}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_absence_takes_away_what_presence_put_there(tmp_path: Path, number: int) -> None:
    engine = engines(tmp_path)[number]
    (tmp_path / "etc").mkdir()
    perform(engine, desired(registry="other.lab", ca_certificate=PEM))
    other = settings_below(tmp_path)
    for first in (ALL, {"security": "insecure"}, {**ALL, "mirrored": ["quay.io"]}, {}):
        perform(engine, desired(**first))
    perform(engine, desired(**ALL))
    assert settings_below(tmp_path).keys() > other.keys()
    perform(engine, desired(state="absent"))
    assert settings_below(tmp_path) == other
    perform(engine, desired(state="absent", registry="other.lab"))
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_way_of_trust_leaves_nothing_of_another(tmp_path: Path, number: int) -> None:
    engine = engines(tmp_path)[number]
    (tmp_path / "etc").mkdir()
    ways: list[dict[str, Any]] = [
        ALL,
        {"security": "insecure"},
        {"security": "insecure", "mirrored": ["docker.io"]},
        {},
    ]
    for way in ways:
        for other in ways:
            perform(engine, desired(**way))
            direct = settings_below(tmp_path)
            perform(engine, desired(**other))
            perform(engine, desired(**way))
            assert settings_below(tmp_path) == direct


def test_mirrors_of_docker_are_of_docker_hub_only(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    engine = docker(tmp_path)
    asked = desired(mirrored=["docker.io", "quay.io"])
    assert perform(engine, asked) == [
        f"{tmp_path}/etc/docker/daemon.json: registry-mirrors: adds https://registry.lab:5000"
    ]
    assert engine.plan(asked).unsupported == (
        "Docker asks mirrors for images of docker.io only, not for those of quay.io.",
    )


def test_what_containerd_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    engine = engines(tmp_path)[1]
    perform(engine, desired(**ALL))
    certs = tmp_path / "etc/containerd/certs.d"
    own = tomli.loads((certs / REGISTRY / "hosts.toml").read_text())
    header = {"Authorization": "Basic bW9ieTpnb3Jkb24="}
    anchor = f"{certs}/{REGISTRY}/ca.crt"
    assert own == {
        "server": "https://registry.lab:5000",
        "host": {
            "https://registry.lab:5000": {
                "capabilities": ["pull", "resolve", "push"],
                "ca": anchor,
                "header": header,
            }
        },
    }
    hub = tomli.loads((certs / "docker.io/hosts.toml").read_text())
    assert hub["server"] == "https://registry-1.docker.io"
    assert hub["host"] == {
        "https://registry.lab:5000": {"capabilities": ["pull", "resolve"], "ca": anchor, "header": header}
    }
    assert tomli.loads((certs / "quay.io/hosts.toml").read_text())["server"] == "https://quay.io"
    assert {(certs / name / "hosts.toml").stat().st_mode & 0o777 for name in (REGISTRY, "docker.io")} == {0o600}
    perform(engine, desired(security="insecure"))
    assert tomli.loads((certs / REGISTRY / "hosts.toml").read_text()) == {
        "server": "http://registry.lab:5000",
        "host": {"http://registry.lab:5000": {"capabilities": ["pull", "resolve", "push"]}},
    }


def test_what_podman_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    engine = engines(tmp_path)[2]
    drop_in = tmp_path / "etc/containers/registries.conf.d/stronghold-registry.lab_5000.conf"
    perform(engine, desired(ca_certificate=PEM))
    assert not drop_in.exists()
    perform(engine, desired(mirrored=["docker.io", "quay.io"]))
    mirror = [{"location": REGISTRY, "insecure": False}]
    assert tomli.loads(drop_in.read_text()) == {
        "registry": [{"location": "docker.io", "mirror": mirror}, {"location": "quay.io", "mirror": mirror}]
    }
    perform(engine, desired(security="insecure", mirrored=["quay.io"]))
    assert tomli.loads(drop_in.read_text())["registry"] == [
        {"location": REGISTRY, "insecure": True},
        {"location": "quay.io", "mirror": [{"location": REGISTRY, "insecure": True}]},
    ]


@pytest.mark.parametrize("registry", ["[fd00::1]:5000", "10.0.0.1:5000", "registry.lab"])
@pytest.mark.parametrize("number", [1, 2])
def test_any_address_is_told(tmp_path: Path, number: int, registry: str) -> None:
    (tmp_path / "etc").mkdir()
    perform(engines(tmp_path)[number], desired(registry=registry, security="insecure"))
    texts = [tomli.loads(text) for path, text in files_below(tmp_path).items() if path.endswith((".toml", ".conf"))]
    assert registry in str(texts)


@pytest.mark.parametrize(
    ("number", "path", "asked"),
    [
        (1, f"etc/containerd/certs.d/{REGISTRY}/hosts.toml", {}),
        (1, "etc/containerd/certs.d/quay.io/hosts.toml", {"mirrored": ["quay.io"]}),
        (2, "etc/containers/registries.conf.d/stronghold-registry.lab_5000.conf", {"security": "insecure"}),
        (2, f"etc/containers/certs.d/{REGISTRY}/ca.crt", {"ca_certificate": PEM}),
        (0, f"etc/docker/certs.d/{REGISTRY}/ca.crt", {"ca_certificate": PEM}),
    ],
)
def test_what_somebody_else_wrote_is_replaced_by_force_only(
    tmp_path: Path, number: int, path: str, asked: dict[str, Any]
) -> None:
    theirs = tmp_path / path
    theirs.parent.mkdir(parents=True)
    theirs.write_text("# mine\n")
    engine = engines(tmp_path)[number]
    with pytest.raises(RegistryError, match=rf"{re.escape(str(theirs))} .* or set force"):
        engine.plan(desired(**asked))
    assert theirs.read_text() == "# mine\n"
    assert perform(engine, desired(state="absent")) == []
    assert theirs.read_text() == "# mine\n"
    if "quay.io" not in path:
        assert str(theirs) in engine.plan(desired(state="absent")).foreign
    assert perform(engine, desired(**asked, force=True)) != []
    assert "mine" not in theirs.read_text()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('[[registry]]\nlocation = "registry.lab:5000"\ninsecure = true\n', True),
        ("[[registry]]\ninsecure=true # here\nprefix='registry.lab:5000'\n", True),
        ('[[registry]]\nlocation="q.io"\n[[registry.mirror]]\nlocation="registry.lab:5000"\ninsecure=true', True),
        ('[[registry]]\nlocation = "registry.lab:5000"\ninsecure = false\n', False),
        ('[[registry]]\nlocation = "registry.lab"\ninsecure = true\n', False),
        ('[[registry]]\nlocation = "registry.lab:5000"\n[[registry]]\ninsecure = true\nlocation="x.io"', False),
        ('unqualified-search-registries = ["registry.lab:5000"]\n', False),
        ("# [[registry]]\n# insecure = true\n", False),
        ("", False),
    ],
)
def test_a_file_of_others_that_makes_the_registry_insecure(text: str, verdict: bool) -> None:
    assert podman.makes_insecure(podman.parse_tables(text), REGISTRY) is verdict


def test_a_file_of_others_that_undoes_tls_is_named(tmp_path: Path) -> None:
    path = tmp_path / "etc/containers/registries.conf.d/99-lab.conf"
    path.parent.mkdir(parents=True)
    path.write_text(f"[[registry]]\nlocation = '{REGISTRY}'\ninsecure = true\n")
    with pytest.raises(RegistryError, match=rf"{path} makes registry\.lab:5000 insecure"):
        engines(tmp_path)[2].plan(desired(ca_certificate=PEM))
    assert engines(tmp_path)[2].plan(desired(state="absent")).steps == ()


@pytest.mark.parametrize(
    ("text", "version", "paths", "enabled"),
    [
        ("", 1, (), True),
        (
            'version = 2\n[plugins]\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/a:/b"',
            2,
            ("/a", "/b"),
            True,
        ),
        ("version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '/a'", 3, ("/a",), True),
        ('version = 2\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/a"', 2, (), True),
        ('version = 2\n[plugins.cri]\nconfig_path = "/a"', 2, (), True),
        ('disabled_plugins = ["cri"]\nversion = 2', 2, (), False),
        ("disabled_plugins = ['io.containerd.grpc.v1.cri']\nversion = 3", 3, (), False),
        ('disabled_plugins = ["io.containerd.internal.v1.opt"]\nversion = 2', 2, (), True),
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = ""', 2, (), True),
    ],
)
def test_what_containerd_says_of_its_configuration(
    text: str, version: int, paths: tuple[str, ...], enabled: bool
) -> None:
    cri = containerd.parse_cri(text)
    assert (cri.version, cri.config_path, cri.enabled) == (version, paths, enabled)


def test_the_store_of_the_system_has_a_file_for_each_certificate(tmp_path: Path) -> None:
    install(tmp_path, "update-ca-certificates")
    store = SystemStore(root=str(tmp_path))
    planned = store.plan(desired(ca_certificate=PEM + SELF_SIGNED))
    directory = tmp_path / "usr/local/share/ca-certificates"
    assert [step.reason for step in planned.steps] == [
        f"{directory}/stronghold-registry.lab_5000-1.crt: is not there",
        f"{directory}/stronghold-registry.lab_5000-2.crt: is not there",
        f"{tmp_path}/etc/ssl/certs/ca-certificates.crt: lacks the certificate",
    ]
    for step in planned.steps[:-1]:
        step.perform()
    bundle = tmp_path / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("# all\n" + SELF_SIGNED + PEM)
    assert store.plan(desired(ca_certificate=PEM + SELF_SIGNED)).steps == ()
    assert [step.reason for step in store.plan(desired(ca_certificate=PEM)).steps] == [
        f"{directory}/stronghold-registry.lab_5000-2.crt: is there, wanted absent",
        f"{bundle}: has to follow",
    ]
    assert store.is_found(desired(state="absent"))
    assert not store.is_found(desired(state="absent", registry="registry.lab:500"))
    assert not store.is_found(desired())


@given(st.lists(st.sampled_from(["docker.io", "quay.io", "ghcr.io", "a.lab:1"]), unique=True), st.booleans())
def test_whatever_is_mirrored_is_toml(mirrored: list[str], insecure: bool) -> None:
    asked = desired(mirrored=mirrored, security="insecure" if insecure else "tls", ca_certificate=PEM)
    tables = tomli.loads(podman.render_registries(asked)).get("registry", [])
    assert [table["location"] for table in tables if "mirror" in table] == mirrored
    for name in [REGISTRY, *mirrored]:
        hosts = tomli.loads(containerd.render_hosts("/certs", name, asked))
        assert list(hosts["host"]) == [asked.url]


TEXTS = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1)


@given(TEXTS, TEXTS)
def test_any_login_is_toml_and_in_no_diff(username: str, password: str) -> None:
    asked = desired(username=username, password=password)
    text = containerd.render_hosts("/certs", REGISTRY, asked)
    assert asked.login is not None
    assert tomli.loads(text)["host"][asked.url]["header"]["Authorization"] == asked.login.header
    shown = containerd._kind(REGISTRY).show(text.encode())
    assert "(a login)" in shown
    assert asked.login.header not in "".join(shown)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_link_is_not_written_through(tmp_path: Path, number: int) -> None:
    engine = engines(tmp_path)[number]
    (tmp_path / "etc").mkdir()
    perform(engine, desired(ca_certificate=PEM))
    path = next(path for path in tmp_path.rglob("ca.crt"))
    theirs = tmp_path / "bundle.crt"
    theirs.write_text(SELF_SIGNED)
    path.unlink()
    path.symlink_to(theirs)
    with pytest.raises(RegistryError, match="is a symbolic link; look at where it leads"):
        engine.plan(desired(ca_certificate=PEM))
    perform(engine, desired(ca_certificate=PEM, force=True))
    assert (path.is_symlink(), path.read_text(), theirs.read_text()) == (False, PEM, SELF_SIGNED)
    path.unlink()
    path.symlink_to(theirs)
    perform(engine, desired(state="absent"))
    assert (path.exists(), theirs.read_text()) == (False, SELF_SIGNED)


@pytest.mark.parametrize("registry", ["172.17.0.5:5000", "172.17.0.5"])
def test_an_address_in_an_insecure_network_is_refused(tmp_path: Path, registry: str) -> None:
    config = tmp_path / "etc/docker/daemon.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"insecure-registries": ["10.0.0.0/8", "172.16.0.0/12"]}')
    with pytest.raises(RegistryError, match=rf"{config} makes all of 172\.16\.0\.0/12 insecure, {registry} too"):
        docker(tmp_path).plan(desired(registry=registry, ca_certificate=PEM))
    perform(docker(tmp_path), desired(registry="192.168.0.5:5000", ca_certificate=PEM))
    perform(docker(tmp_path), desired(registry=registry, security="insecure"))


def test_texts_of_others_are_in_no_diff(tmp_path: Path) -> None:
    theirs = tmp_path / "etc/containerd/certs.d" / REGISTRY / "hosts.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('[host."https://x".header]\nX-Auth-Token = "hush"\n')
    steps = engines(tmp_path)[1].plan(desired(force=True)).steps
    assert steps[0].before == f"{theirs}: (a text of others)\n"


def test_an_upstream_has_one_mirror(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    engine = engines(tmp_path)[2]
    perform(engine, desired(registry="other.lab", mirrored=["quay.io"]))
    with pytest.raises(RegistryError, match=r"^mirrored: .*stronghold-other\.lab\.conf tells already .* quay\.io"):
        engine.plan(desired(mirrored=["docker.io", "quay.io"]))
    perform(engine, desired(mirrored=["docker.io"]))


def test_registries_that_look_alike_have_files_of_their_own() -> None:
    names = ["[2001:db8::1]:5000", "[2001:db8::1:5000]", "db8.lab:5000", "db8-lab:5000"]
    assert len({desired(registry=name).file_name for name in names}) == len(names)


def test_a_store_that_was_left_behind_is_renewed(tmp_path: Path) -> None:
    install(tmp_path, "update-ca-certificates")
    store = SystemStore(root=str(tmp_path))
    links = tmp_path / "etc/ssl/certs"
    links.mkdir(parents=True)
    (links / "ca-certificates.crt").write_text(PEM)
    (links / "stronghold-registry.lab_5000-1.pem").symlink_to(tmp_path / "gone.crt")
    assert store.is_found(desired(state="absent"))
    assert len(store.plan(desired(state="absent")).steps) == 1
    assert not store.is_found(desired(state="absent", registry="other.lab"))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "etc/docker/daemon.json"
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.raises(RegistryError, match=f"{path} (is no regular file|cannot be read)"):
        docker(tmp_path).plan(desired())


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "etc/docker/daemon.json"
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(RegistryError, match=f"{path} is longer than 16 MiB"):
        docker(tmp_path).plan(desired())
