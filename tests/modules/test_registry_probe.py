# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_probe, against real registries."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .registry import (
    HOST,
    LOOPBACK,
    PASSWORD,
    USER,
    Authority,
    Registry,
    RegistryFactory,
    authority,
    free_port,
    registry_binary,
    start_registry,
)

__all__ = ["authority", "registry_binary", "start_registry"]


BLOB_DIGITS = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""What OCI's image-spec gives as the digest of its empty descriptor."""


def storage(path: Path, **options: Any) -> dict[str, Any]:
    return {"filesystem": {"rootdirectory": str(path / "data")}, **options}


@pytest.fixture
def secured(start_registry: RegistryFactory, authority: Authority, tmp_path: Path) -> Registry:
    """A registry with TLS, users and deletion."""
    authority.sign("leaf", f"DNS:{HOST},IP:{LOOPBACK}")
    return start_registry(certificate="leaf", users=True, storage=storage(tmp_path, delete={"enabled": True}))


def fingerprint(command: Any, path: Path) -> str:
    printed: str = command("openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256")
    return printed.strip().split("=")[1]


def failure(run_module: RunModule, **params: Any) -> str:
    message: str = run_module("registry_probe", fails=True, **params)["msg"]
    return message


def test_open_registry_over_http(run_module: RunModule, start_registry: RegistryFactory) -> None:
    registry = start_registry()
    result = run_module("registry_probe", **registry.probe)
    assert result["changed"] is False
    assert result["api_version"] == "registry/2.0"
    assert (result["anonymous"], result["realm"], result["deleted"]) == ("allowed", None, False)
    assert (result["fingerprint"], result["not_after"], result["days_left"], result["tls_version"]) == (None,) * 4
    assert [step["step"] for step in result["steps"]] == ["reach", "push", "pull", "delete"]
    assert result["steps"][-1]["seen"] == "deletion is off"


def test_users_over_tls(run_module: RunModule, command: Any, secured: Registry) -> None:
    result = run_module("registry_probe", **secured.probe)
    assert (result["anonymous"], result["realm"], result["deleted"]) == ("refused", "the lab", True)
    assert result["fingerprint"] == fingerprint(command, secured.directory / "leaf.crt").replace(":", "").lower()
    assert result["days_left"] == 9
    assert result["tls_version"] == "TLSv1.3"
    enddate = command("openssl", "x509", "-in", secured.directory / "leaf.crt", "-noout", "-enddate")
    assert result["not_after"][11:19] in enddate
    steps = [step["step"] for step in result["steps"]]
    assert (steps[0], sorted(steps)) == ("reach", ["delete", "pull", "push", "reach", "wrong password"])
    assert all(step["seconds"] >= 0 for step in result["steps"])


def test_no_secret_in_the_result(run_module: RunModule, secured: Registry) -> None:
    header = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for wrong in ({}, {"port": free_port(), "timeout": 1}, {"anonymous": "allowed"}, {"host": "other.test"}):
        text = json.dumps(run_module("registry_probe", fails=bool(wrong), **{**secured.probe, **wrong}))
        assert PASSWORD not in text
        assert header not in text


def test_check_mode_pushes_nothing(run_module: RunModule, start_registry: RegistryFactory) -> None:
    registry = start_registry()
    result = run_module("registry_probe", check=True, **registry.probe)
    assert result["pushed"] is None
    assert [step["step"] for step in result["steps"]] == ["reach"]
    assert registry.manifests() == []


def test_repeated_probes_leave_one_manifest(run_module: RunModule, start_registry: RegistryFactory) -> None:
    registry = start_registry()
    pushed = {run_module("registry_probe", **registry.probe)["pushed"] for attempt in range(3)}
    assert [f"sha256:{digest}" for digest in registry.manifests()] == list(pushed)


def test_deletion_is_not_asked_for_where_it_is_known_to_be_off(run_module: RunModule, secured: Registry) -> None:
    result = run_module("registry_probe", **secured.probe, delete=False)
    assert result["deleted"] is False
    assert "delete" not in [step["step"] for step in result["steps"]]


def test_pushed_artifact_is_one_for_other_clients(
    run_module: RunModule, command: Any, start_registry: RegistryFactory
) -> None:
    registry = start_registry()
    digest = run_module("registry_probe", **registry.probe)["pushed"]
    reference = f"docker://{LOOPBACK}:{registry.port}/stronghold/probe@{digest}"
    command("skopeo", "copy", "--src-tls-verify=false", reference, f"dir:{registry.directory / 'copy'}")
    manifest = json.loads(command("skopeo", "inspect", "--raw", "--tls-verify=false", reference))
    assert manifest["artifactType"] == "application/vnd.stronghold.probe"


def test_deleted_image_can_be_pushed_again(run_module: RunModule, secured: Registry) -> None:
    deleted = [run_module("registry_probe", **secured.probe)["deleted"] for attempt in range(2)]
    assert deleted == [True, True]


def test_in_memory_cache_of_descriptors(run_module: RunModule, start_registry: RegistryFactory, tmp_path: Path) -> None:
    registry = start_registry(storage=storage(tmp_path, delete={"enabled": True}, cache={"blobdescriptor": "inmemory"}))
    deleted = [run_module("registry_probe", **registry.probe)["deleted"] for attempt in range(3)]
    assert deleted == [True] * 3


@pytest.mark.parametrize("relative", [True, False])
def test_locations_of_uploads(run_module: RunModule, start_registry: RegistryFactory, *, relative: bool) -> None:
    registry = start_registry(http={"addr": f"{LOOPBACK}:{(port := free_port())}", "relativeurls": relative})
    assert run_module("registry_probe", **{**registry.probe, "port": port})["pushed"]


def test_uploads_that_lead_elsewhere(run_module: RunModule, start_registry: RegistryFactory) -> None:
    registry = start_registry(http={"addr": f"{LOOPBACK}:{(port := free_port())}", "host": "https://elsewhere.test"})
    message = failure(run_module, **{**registry.probe, "port": port})
    assert f"sends its clients to https://elsewhere.test for an upload, not to http://{HOST}:{port}" in message


def test_a_blob_of_a_former_probe_is_mounted(run_module: RunModule, start_registry: RegistryFactory) -> None:
    """It need not be uploaded again, unless a garbage collection took it; what a probe can find, it still finds."""
    registry = start_registry(log={"level": "warn", "accesslog": {"disabled": False}})

    def uploads() -> int:
        log = registry.directory / "registry.log"
        before = log.read_bytes()
        assert run_module("registry_probe", **registry.probe)["pushed"]
        return log.read_bytes()[len(before) :].count(b'"PUT /v2/stronghold/probe/blobs/uploads/')

    assert [uploads(), uploads()] == [1, 0]
    (blob,) = (registry.directory / "data").glob(f"**/blobs/sha256/44/{BLOB_DIGITS}/data")
    blob.unlink()
    assert uploads() == 1
    elsewhere = start_registry(http={"addr": f"{LOOPBACK}:{(port := free_port())}", "host": "https://elsewhere.test"})
    message = failure(run_module, **{**elsewhere.probe, "port": port})
    assert "sends its clients to https://elsewhere.test for an upload" in message


@pytest.fixture
def object_store(tmp_path: Path) -> Iterator[int]:
    """A plain web server over the registry's storage, as an object store would be; its port."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "data"))
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def test_blobs_come_from_an_object_store(
    run_module: RunModule, start_registry: RegistryFactory, object_store: int
) -> None:
    redirect = {"name": "redirect", "options": {"baseurl": f"http://{LOOPBACK}:{object_store}"}}
    registry = start_registry(middleware={"storage": [redirect]})
    assert run_module("registry_probe", **registry.probe)["pushed"]


def test_expected_fingerprint(run_module: RunModule, command: Any, secured: Registry) -> None:
    served = fingerprint(command, secured.directory / "leaf.crt")
    run_module("registry_probe", **{**secured.probe, "fingerprint": served, "push": False})
    message = failure(run_module, **{**secured.probe, "fingerprint": "ab" * 32})
    assert "serves another certificate" in message
    assert "the container was not restarted after a renewal" in message


def test_former_certificate_of_a_former_ca(run_module: RunModule, secured: Registry, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    message = failure(
        run_module,
        **{
            **secured.probe,
            "ca_certificate": Authority(tmp_path / "new").create().pem,
            "fingerprint": "ab" * 32,
        },
    )
    assert "the container was not restarted after a renewal" in message


def test_other_ca(run_module: RunModule, secured: Registry, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").create()
    message = failure(run_module, **{**secured.probe, "ca_certificate": other.pem})
    assert f"The certificate of {HOST}:{secured.port} (at {LOOPBACK}) is not signed by the given CA" in message
    message = failure(run_module, **{**secured.probe, "ca_certificate": ""})
    assert "is not signed by a CA of this system" in message


def test_self_signed_leaf_as_its_own_anchor(
    run_module: RunModule, command: Any, start_registry: RegistryFactory, tmp_path: Path
) -> None:
    command(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "10", "-subj", "/CN=leaf", "-addext", f"subjectAltName=DNS:{HOST}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-keyout", tmp_path / "self.key", "-out", tmp_path / "self.crt"),
    )
    (tmp_path / "ca.crt").write_text((tmp_path / "self.crt").read_text())
    registry = start_registry(certificate="self")
    assert run_module("registry_probe", **registry.probe)["pushed"]


def test_other_host(run_module: RunModule, secured: Registry) -> None:
    message = failure(run_module, **{**secured.probe, "host": "other.test"})
    assert f"is not for other.test: it names DNS:{HOST}, IP Address:{LOOPBACK}." in message
    run_module("registry_probe", **{**secured.probe, "host": LOOPBACK, "address": ""})
    message = failure(run_module, **{**secured.probe, "host": "127.0.0.2", "address": LOOPBACK})
    assert "is not for 127.0.0.2" in message


@pytest.mark.parametrize(
    ("validity", "words"),
    [
        (("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"), "has expired"),
        (("-startdate", "20700101000000Z", "-enddate", "20710101000000Z"), "is not valid yet"),
    ],
)
def test_certificate_out_of_time(
    run_module: RunModule,
    start_registry: RegistryFactory,
    authority: Authority,
    validity: tuple[str, ...],
    words: str,
) -> None:
    authority.sign("old", f"DNS:{HOST}", *validity)
    message = failure(run_module, **start_registry(certificate="old").probe)
    assert words in message
    assert "Jan  1 00:00:00 20" in message


@pytest.mark.parametrize("push", [True, False])
def test_wrong_password(run_module: RunModule, secured: Registry, *, push: bool) -> None:
    message = failure(run_module, **{**secured.probe, "password": "a minnow of a password", "push": push})
    assert f"refuses the password of user {USER}" in message
    assert "minnow" not in message


def test_everybody_is_let_in(run_module: RunModule, start_registry: RegistryFactory) -> None:
    message = failure(run_module, **start_registry().probe, username=USER, password=PASSWORD)
    assert "lets everybody in without a password, and should not" in message


def test_anonymous_as_expected(run_module: RunModule, start_registry: RegistryFactory, secured: Registry) -> None:
    anonymous = {**secured.probe, "username": "", "password": "", "push": False}
    run_module("registry_probe", **anonymous, anonymous="refused")
    assert "demands a password, and should let everybody in" in failure(run_module, **anonymous, anonymous="allowed")
    assert "give username and password, or set push to false" in failure(run_module, **{**anonymous, "push": True})


def test_tokens_are_not_supported(run_module: RunModule, start_registry: RegistryFactory, authority: Authority) -> None:
    token = {"realm": "https://auth.test/token", "service": "registry", "issuer": "auth"}
    registry = start_registry(auth={"token": {**token, "rootcertbundle": str(authority.directory / "ca.crt")}})
    assert "wants tokens (Bearer), which this probe does not support yet" in failure(run_module, **registry.probe)


def test_http_probed_with_tls(run_module: RunModule, start_registry: RegistryFactory, authority: Authority) -> None:
    registry = start_registry()
    message = failure(run_module, **{**registry.probe, "security": "tls", "ca_certificate": authority.pem})
    assert f"{HOST}:{registry.port} (at {LOOPBACK}) speaks HTTP, not HTTPS" in message


def test_tls_probed_with_http(run_module: RunModule, secured: Registry) -> None:
    message = failure(run_module, **{**secured.probe, "security": "insecure"})
    assert "speaks HTTPS, not HTTP: set security to tls" in message


def test_nothing_listens(run_module: RunModule) -> None:
    port = free_port()
    message = failure(run_module, host=LOOPBACK, port=port, security="insecure", timeout=1)
    assert message == f"Nothing listens on {LOOPBACK}:{port} (connection refused)."


def test_unhealthy_registry(run_module: RunModule, start_registry: RegistryFactory, tmp_path: Path) -> None:
    (tmp_path / "down").touch()
    checked = {"file": [{"file": str(tmp_path / "down"), "interval": "10ms"}]}
    registry = start_registry(health=checked)
    message = failure(run_module, **registry.probe, timeout=2)
    assert "answers 503" in message
    (tmp_path / "down").unlink()
    assert run_module("registry_probe", **registry.probe)["pushed"]


def test_name_that_does_not_resolve(run_module: RunModule) -> None:
    assert "The name no-such-host.invalid does not resolve" in failure(
        run_module, host="no-such-host.invalid", timeout=1
    )


def test_another_program(run_module: RunModule, object_store: int) -> None:
    message = failure(run_module, host=LOOPBACK, port=object_store, security="insecure")
    assert "answers 404 without Docker-Distribution-Api-Version to GET /v2/: that is no registry" in message


def test_read_only_registry(run_module: RunModule, start_registry: RegistryFactory, tmp_path: Path) -> None:
    registry = start_registry(storage=storage(tmp_path, maintenance={"readonly": {"enabled": True}}))
    assert "to the push of an upload: it is read-only" in failure(run_module, **registry.probe)
    assert run_module("registry_probe", **registry.probe, check=True)["anonymous"] == "allowed"


def test_storage_that_cannot_be_written(run_module: RunModule, start_registry: RegistryFactory) -> None:
    registry = start_registry(storage={"filesystem": {"rootdirectory": "/dev/full/data"}})
    message = failure(run_module, **registry.probe)
    assert "500 UNKNOWN, the storage says: Not a directory" in message


def test_wrong_parameters(run_module: RunModule) -> None:
    for wrong, words in (
        ({"host": "https://registry.test"}, "host: 'https://registry.test' is neither a name nor an address"),
        ({"port": 0}, "port: is 0, wanted 1 to 65535"),
        ({"username": USER}, "username and password: give both or none"),
        ({"repository": "Team"}, "repository: 'Team' is no repository's name"),
        ({"ca_certificate": "/etc/ca.crt"}, "ca_certificate: is no certificate in PEM"),
    ):
        assert words in failure(run_module, **{"host": HOST, **wrong})
