# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine of a host: its flags in all places where they stand, its program, what is none."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine as docker_engine
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = docker_engine.DEFAULT_CONFIG
UNIT = "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"


def put(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def flags_of(root: Path, config: str = CONFIG) -> list[tuple[str, str, str]]:
    return [(flag.text, flag.key, flag.where) for flag in docker_engine.configured_flags(config, str(root))]


@pytest.fixture
def systemd(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ([], []),
        (
            ["--insecure-registry", "a:1", "--insecure-registry=b:1"],
            ["insecure-registries", "insecure-registries"],
        ),
        (["--registry-mirror=https://m", "--label", "a=b"], ["registry-mirrors", "labels"]),
        (["-H", "fd://", "--host=tcp://:1"], ["hosts", "hosts"]),
        (["-Hfd://"], ["hosts"]),
        (["-D"], ["debug"]),
        (["-DH", "fd://"], ["debug", "hosts"]),
        (["-l=warn", "-s", "overlay2", "-G", "moby"], ["log-level", "storage-driver", "group"]),
        (
            ["--storage-opt=a", "--log-opt=b", "--exec-opt=c", "--dns-opt=d"],
            ["storage-opts", "log-opts", "exec-opts", "dns-opts"],
        ),
        (["--dns", "10.0.0.1", "--dns-search=lab", "--mtu=1450"], ["dns", "dns-search", "mtu"]),
        (["--live-restore=false"], ["live-restore"]),
        (["--", "-"], []),
    ],
)
def test_flags_and_their_keys(arguments: list[str], keys: list[str]) -> None:
    assert [flag.key for flag in docker_engine.parse_flags(arguments, "here")] == keys


def test_the_value_of_a_flag_is_known_and_not_shown() -> None:
    flags = docker_engine.parse_flags(["--http-proxy", "http://u:s3cret@p", "-H=fd://"], "here")
    assert [flag.value for flag in flags] == ["http://u:s3cret@p", "fd://"]
    assert "s3cret" not in repr(flags)


def test_docker_opts_count_where_the_unit_uses_them(systemd: Path) -> None:
    put(systemd, "/etc/default/docker", '# OPTS\nDOCKER_OPTS="--insecure-registry a:1 --live-restore"\n')
    put(
        systemd,
        "/usr/lib/systemd/system/docker.service",
        f"{UNIT} $DOCKER_OPTS\nEnvironmentFile=-/etc/default/docker\n",
    )
    where = "DOCKER_OPTS in /etc/default/docker"
    assert ("--insecure-registry", "insecure-registries", where) in flags_of(systemd)
    assert ("--live-restore", "live-restore", where) in flags_of(systemd)
    assert ("-H", "hosts", "ExecStart in /usr/lib/systemd/system/docker.service") in flags_of(systemd)


def test_docker_opts_are_nothing_to_a_unit_that_does_not_use_them(systemd: Path) -> None:
    put(systemd, "/etc/default/docker", 'DOCKER_OPTS="--insecure-registry a:1"\n')
    put(systemd, "/usr/lib/systemd/system/docker.service", UNIT)
    put(systemd, "/etc/init.d/docker", "#!/bin/sh\n")
    assert [key for _text, key, _where in flags_of(systemd)] == ["hosts", "containerd"]


def test_docker_opts_count_without_systemd(tmp_path: Path) -> None:
    put(tmp_path, "/etc/default/docker", "export DOCKER_OPTS='--label=a=b \\\n --debug'\n")
    assert flags_of(tmp_path) == []
    put(tmp_path, "/etc/init.d/docker", "#!/bin/sh\n")
    assert [key for _text, key, _where in flags_of(tmp_path)] == ["labels", "debug"]


def test_drop_ins_are_read_as_systemd_does(systemd: Path) -> None:
    put(systemd, "/usr/lib/systemd/system/docker.service", f"{UNIT} --debug\n")
    put(
        systemd,
        "/etc/systemd/system/docker.service.d/10-opts.conf",
        "[Service]\nEnvironment='OPTS=--label a=b' X=y\n",
    )
    drop_in = "/etc/systemd/system/docker.service.d/20-start.conf"
    put(
        systemd,
        drop_in,
        "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \\\n  --mtu 1450 ${OPTS} $UNSET\n",
    )
    put(
        systemd,
        "/usr/lib/systemd/system/docker.service.d/20-start.conf",
        "[Service]\nExecStart=/bin/false --ipv6\n",
    )
    assert flags_of(systemd) == [
        ("--mtu", "mtu", f"ExecStart in {drop_in}"),
        ("--label", "labels", "OPTS in /etc/systemd/system/docker.service.d/10-opts.conf"),
    ]


def test_the_administrators_unit_hides_the_packages(systemd: Path) -> None:
    put(systemd, "/usr/lib/systemd/system/docker.service", f"{UNIT} --debug\n")
    put(systemd, "/etc/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd --ipv6\n")
    assert [key for _text, key, _where in flags_of(systemd)] == ["ipv6"]


def test_an_engine_with_another_file_is_another_engine(systemd: Path) -> None:
    put(
        systemd,
        "/etc/systemd/system/docker.service",
        "[Service]\nExecStart=/usr/bin/dockerd --config-file /srv/d.json --ipv6\n",
    )
    assert flags_of(systemd) == []
    assert [key for _text, key, _where in flags_of(systemd, "/srv/d.json")] == ["config-file", "ipv6"]


def test_an_open_quote_does_not_stop_the_search(systemd: Path) -> None:
    put(
        systemd,
        "/etc/systemd/system/docker.service",
        '[Service]\nExecStart=/usr/bin/dockerd --debug "--ipv6\n',
    )
    assert [key for _text, key, _where in flags_of(systemd)] == ["debug"]


def test_no_process_reads_a_file_of_nobody(tmp_path: Path) -> None:
    assert docker_engine.running_flags(str(tmp_path / "daemon.json")) is None
    observed = docker_engine.observe(str(tmp_path / "daemon.json"), str(tmp_path / "docker.sock"))
    assert (observed.running, observed.info) == (False, None)


def test_an_init_script_that_is_linked_starts_the_engine_at_boot(tmp_path: Path) -> None:
    assert docker_engine.service_state(str(tmp_path)).enabled is False
    put(tmp_path, "/etc/init.d/docker", "#!/bin/sh\n")
    put(tmp_path, "/etc/rc0.d/K01docker", "")
    assert docker_engine.service_state(str(tmp_path)).enabled is False
    put(tmp_path, "/etc/rc3.d/S03docker", "")
    assert docker_engine.service_state(str(tmp_path)).enabled is True


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, json.dumps({"Debug": True}), {"Debug": True}),
        (200, "[]", None),
        (200, "no JSON", None),
        (500, "{}", None),
    ],
)
def test_an_engines_answer(tmp_path: Path, status: int, body: str, answer: object) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/info" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_arguments: object) -> None:
            pass

    path = str(tmp_path / "docker.sock")
    with _UnixServer(path, Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            assert docker_engine.engine_info(path) == answer
        finally:
            server.shutdown()


def test_no_engine_answers_where_none_is(tmp_path: Path) -> None:
    assert docker_engine.engine_info(str(tmp_path / "docker.sock")) is None


def test_an_engine_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_TIMEOUT", 0.1)
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(RegistryError, match="the engine does not answer"):
            docker_engine.engine_info(path)


def test_dockerd_is_found(tmp_path: Path) -> None:
    assert docker_engine.find_dockerd(root=str(tmp_path)) is None
    put(tmp_path, "/usr/sbin/dockerd", "", mode=0o644)
    assert docker_engine.find_dockerd(root=str(tmp_path)) is None
    put(tmp_path, "/usr/sbin/dockerd", "", mode=0o755)
    assert docker_engine.find_dockerd(root=str(tmp_path)) == f"{tmp_path}/usr/sbin/dockerd"
    assert docker_engine.is_present(str(tmp_path / "docker.sock"), str(tmp_path))
    with pytest.raises(RegistryError, match=r"^dockerd: /nowhere is no program"):
        docker_engine.find_dockerd("/nowhere")


def test_a_dockerd_that_can_validate_is_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "dockerd"
    put(
        tmp_path,
        "dockerd",
        '#!/bin/sh\ncase "$1" in --help) echo "--validate";; *) echo "bad $3" >&2; exit 1;; esac\n',
        mode=0o755,
    )
    with pytest.raises(
        RegistryError, match=r"^/etc/docker/daemon.json: dockerd refuses .*\(bad /etc/docker/daemon.json\)"
    ):
        docker_engine.validate(str(path), b"{}", CONFIG)
    put(tmp_path, "dockerd", '#!/bin/sh\n[ "$1" = --help ] || exit 1\n', mode=0o755)
    docker_engine.validate(str(path), b"{}", CONFIG)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("/usr/bin/docker", '#!/bin/sh\nexec /usr/bin/podman "$@"\n', "Podman's shim"),
        ("/snap/bin/docker", "", "/var/snap/docker/current/config"),
        ("/usr/bin/docker", "\x7fELF podman", None),
        ("/usr/bin/docker", "#!/bin/sh\nexec docker.real\n", None),
    ],
)
def test_what_only_looks_like_an_engine_is_told(tmp_path: Path, path: str, content: str, told: str | None) -> None:
    assert docker_engine.why_unsupported(str(tmp_path)) is None
    put(tmp_path, path, content)
    reason = docker_engine.why_unsupported(str(tmp_path))
    assert reason is None if told is None else told in str(reason)
    assert not docker_engine.is_present(str(tmp_path / "docker.sock"), str(tmp_path))


def test_podman_as_a_link_is_told(tmp_path: Path) -> None:
    put(tmp_path, "/usr/bin/podman", "")
    (tmp_path / "usr/bin/docker").symlink_to("podman")
    assert "Podman's shim" in str(docker_engine.why_unsupported(str(tmp_path)))
