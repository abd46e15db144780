# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Redis forgets when a registry's blobs were collected, judged by redis-cli."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._redis import check, forget, is_used
from ansible_collections.stronghold.registry.plugins.module_utils._stale_cache import Cache

from .registry import Authority

ADDRESS, PORT, TLS_PORT, PASSWORD = "127.9.0.2", "6390", "6391", "of the cache"

Cli = Callable[..., str]


def config(**settings: Any) -> dict[str, Any]:
    return {"redis": {"addr": f"{ADDRESS}:{PORT}", "password": PASSWORD, "db": 3, **settings}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("authority")).create()
    authority.sign("leaf", f"IP:{ADDRESS}")
    return authority


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Cli]:
    """redis-cli at a Redis of the tests' own, which speaks TLS at the next port."""
    options = ["--bind", ADDRESS, "--port", PORT, "--requirepass", PASSWORD, "--save", ""]
    options += ["--tls-port", TLS_PORT, "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(authority.directory / "leaf.crt")]
    options += ["--tls-key-file", str(authority.directory / "leaf.key")]
    # Debian's package of the server would start one; its tools are the same program by another name.
    server = subprocess.Popen(
        ["redis-server", *options],
        executable="/usr/bin/redis-check-rdb",
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.DEVNULL,
    )

    def ask(*words: str) -> str:
        command = ["redis-cli", "-h", ADDRESS, "-p", PORT, "-n", "3", "--no-auth-warning", "-a", PASSWORD, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        for _attempt in range(100):
            with socket.socket() as connection:
                if connection.connect_ex((ADDRESS, int(PORT))) == 0:
                    break
            time.sleep(0.1)
        yield ask
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.mark.parametrize("settings", [{}, {"addr": None, "addrs": [f"{ADDRESS}:{PORT}"]}])
def test_only_what_a_registry_keeps_is_forgotten(cli: Cli, settings: dict[str, Any]) -> None:
    # More than one page of a scan has.
    cli("EVAL", "for n = 1, 2500 do redis.call('SET', 'blobs::sha256:' .. n, 1) end", "0")
    cli("HSET", "repository::team/app::blobs::sha256:1", "mediatype", "x")
    cli("SADD", "repository::team/app::blobs", "sha256:1")
    cli("SET", "somebody else's", "1")
    check(config(**settings))
    assert forget(config(**settings)) == 2502
    assert cli("KEYS", "*") == "somebody else's"
    assert forget(config(**settings)) == 0


def test_a_wrong_password_is_named(cli: Cli) -> None:
    assert cli("PING") == "PONG"
    with pytest.raises(RegistryError, match="WRONGPASS") as caught:
        check(config(password="guessed"))
    assert "guessed" not in str(caught.value)
    with pytest.raises(RegistryError, match="NOAUTH"):
        check(config(password=""))


def test_encrypted(cli: Cli, authority: Authority) -> None:
    own = {"certificate": "/certs/registry.crt", "key": "/certs/registry.key"}
    encrypted = config(addr=None, addrs=[f"{ADDRESS}:{TLS_PORT}"], tls=own)
    cli("SET", "blobs::sha256:1", "1")
    check(encrypted, authority.pem)
    assert forget(encrypted, authority.pem) == 1
    with pytest.raises(RegistryError, match=r"cannot be reached: .*certificate verify failed"):
        check(encrypted)
    with pytest.raises(RegistryError, match="cannot be reached"):
        check(config(tls=own), authority.pem)


def test_nobody_there() -> None:
    with pytest.raises(RegistryError, match=r"redis: 127\.9\.0\.3:9 cannot be reached"):
        check(config(addr="127.9.0.3:9"))


def test_what_was_collected_is_forgotten_before_anybody_may_push(cli: Cli, tmp_path: Path) -> None:
    using: dict[str, Any] = {"storage": {"cache": {"blobdescriptor": "redis"}}}
    cache = Cache(str(tmp_path), {**using, **config()})
    with cache.stale():
        assert cache.is_stale
        cli("SET", "blobs::sha256:1", "1")
    assert not cache.is_stale
    assert cli("EXISTS", "blobs::sha256:1") == "0"
    gone = Cache(str(tmp_path), {**using, **config(addr="127.9.0.3:9")})
    with (
        pytest.raises(RegistryError, match=rf"cannot be reached.* nobody .* remove {gone.mark}"),
        gone.stale(),
    ):
        pass
    # Until it can be, whoever starts the next run.
    assert cache.is_stale
    cache.forget()
    assert not cache.is_stale


def test_without_a_redis_nothing_is_marked(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), {"storage": {}})
    with cache.stale():
        assert not cache.is_stale
    # One that was taken away remembers nothing for this registry any more.
    Path(cache.mark).touch()
    cache.forget()
    assert not cache.is_stale


@pytest.mark.parametrize(
    ("storage", "used"),
    [
        ({"cache": {"blobdescriptor": "redis"}}, True),
        ({"cache": {"layerinfo": "redis"}}, True),
        ({"cache": {"blobdescriptor": "inmemory"}}, False),
        ({"cache": None}, False),
        (None, False),
    ],
)
def test_is_used(storage: dict[str, Any] | None, used: bool) -> None:
    assert is_used({"storage": storage}) is used
