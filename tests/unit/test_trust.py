# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust in a registry: what is asked, the trust anchor, and which engines are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _trust as trust
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

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


def desired(**changes: Any) -> trust.Desired:
    given_params = {
        "registry": REGISTRY,
        "state": "present",
        "security": "tls",
        "ca_certificate": "",
        "force": False,
        **changes,
    }
    return trust.parse_desired(given_params)


def docker(root: Path) -> trust.Docker:
    return trust.Docker(directory=str(root / "etc/docker"), socket=str(root / "docker.sock"), root=str(root))


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, trust.TLS),
        ({"security": "insecure"}, trust.INSECURE),
        ({"state": "absent"}, trust.ABSENT),
        ({"state": "absent", "security": "insecure"}, trust.ABSENT),
    ],
)
def test_what_is_asked(params: dict[str, str], kind: str) -> None:
    assert desired(**params).trust == kind


def test_an_anchor_is_read_and_written_again() -> None:
    anchor = trust.parse_anchor(f"Subject: CN=ca\n{PEM}\r\nand again\n{PEM}")
    assert len(anchor) == 2
    assert trust.render_anchor(anchor).decode() == PEM * 2
    assert trust.parse_anchor(PEM.replace("\n", "\r\n")) == anchor[:1]
    assert trust.parse_anchor(" \n") == ()


@pytest.mark.parametrize(
    "kind",
    ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"],
)
def test_a_private_key_is_refused_and_not_shown(kind: str) -> None:
    with pytest.raises(RegistryError, match=r"^ca_certificate: it holds a private key") as error:
        trust.parse_anchor(f"{PEM}-----BEGIN {kind}-----\nc2VjcmV0\n-----END {kind}-----\n")
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
        trust.parse_anchor(text)
    assert told in str(error.value)


@given(st.text())
def test_any_text_is_an_anchor_or_refused(text: str) -> None:
    try:
        assert trust.parse_anchor(text) == ()
    except RegistryError as error:
        assert str(error).startswith("ca_certificate: ")  # noqa: PT017


def test_no_engine_is_an_error_unless_there_is_nothing_to_trust(tmp_path: Path) -> None:
    known = [docker(tmp_path)]
    for params in ({}, {"security": "insecure"}):
        with pytest.raises(RegistryError, match=r"^engines: There is no container engine on this host\. Install one"):
            trust.chosen_engines(["auto"], known, desired(**params))
    assert trust.chosen_engines(["auto"], known, desired(state="absent")) == []
    assert trust.chosen_engines(["docker"], known, desired()) == known


def test_a_shim_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/docker").write_text("#!/bin/sh\nexec /usr/bin/podman\n")
    with pytest.raises(RegistryError, match=r"Podman's shim"):
        trust.chosen_engines(["auto"], [docker(tmp_path)], desired())


def test_an_engine_is_found_by_its_program(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/dockerd").touch(mode=0o755)
    known = [docker(tmp_path)]
    assert trust.chosen_engines(["auto"], known, desired()) == known


def test_what_an_engine_that_is_gone_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "etc/docker/certs.d" / REGISTRY).mkdir(parents=True)
    known = [docker(tmp_path)]
    assert trust.chosen_engines(["auto"], known, desired(state="absent")) == known
    for step in known[0].plan(desired(state="absent")).steps:
        step.perform()
    assert list((tmp_path / "etc/docker").iterdir()) == []


@pytest.mark.parametrize("registry", ["[fd00::1]:5000", "10.0.0.1:5000", "registry.lab", "localhost"])
def test_the_directory_bears_the_name_of_the_registry(tmp_path: Path, registry: str) -> None:
    certs, asked = str(tmp_path / "certs.d"), desired(registry=registry, ca_certificate=PEM)
    steps, foreign = trust.plan_certs_directory(certs, asked)
    assert ([step.reason for step in steps], foreign) == ([f"{certs}/{registry}/ca.crt: is not there"], ())
    for step in steps:
        step.perform()
    assert (tmp_path / "certs.d" / registry / "ca.crt").read_text() == PEM
    assert trust.plan_certs_directory(certs, asked) == ([], ())


def test_directories_that_are_closed_are_opened(tmp_path: Path) -> None:
    certs, asked = tmp_path / "certs.d", desired(ca_certificate=PEM)
    certs.mkdir(mode=0o700)
    for step in trust.plan_certs_directory(str(certs), asked)[0]:
        step.perform()
    assert [path.stat().st_mode & 0o7777 for path in (certs, certs / REGISTRY)] == [0o755, 0o755]
    assert trust.plan_certs_directory(str(certs), asked) == ([], ())


def test_the_diff_shows_fingerprints(tmp_path: Path) -> None:
    steps, _foreign = trust.plan_certs_directory(str(tmp_path), desired(ca_certificate=PEM))
    assert steps[0].before == ""
    assert steps[0].after.startswith(f"{tmp_path}/{REGISTRY}/ca.crt: SHA-256 ")
    assert "BEGIN" not in steps[0].after
