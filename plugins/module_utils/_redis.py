# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Redis in which registries remember blobs, made to forget them (RESP2 of Redis' protocol specification).

Its keys are those of registry/storage/cache/redis of distribution; others in the same database are left alone.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Union, cast

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

PATTERNS = ("blobs::*", "repository::*", "upload::*")
"""Of the keys that a registry writes."""

_PATIENCE = 10.0
"""Seconds that it may take to answer."""

_COUNT = "1000"
_PORT = "6379"

Reply = Union[str, int, None, list[Any]]


def is_used(config: Mapping[str, Any]) -> bool:
    """Whether a registry with this configuration remembers blobs in a Redis."""
    cache = (config.get("storage") or {}).get("cache") or {}
    return "redis" in (cache.get("blobdescriptor"), cache.get("layerinfo"))


def check(config: Mapping[str, Any], authorities: str = "") -> None:
    """See whether it answers. *authorities* are CAs in PEM by which it is verified besides those of the system.

    :raises RegistryError: the Redis of this configuration cannot be reached, or does not let us in.
    """
    with _connected(config, authorities) as stream:
        ask(stream, "PING")


def forget(config: Mapping[str, Any], authorities: str = "") -> int:
    """Remove what registries with this configuration remember; returns how many keys that were.

    :raises RegistryError: it cannot be reached, or does not let us in.
    """
    with _connected(config, authorities) as stream:
        return sum(_forget_pattern(stream, pattern) for pattern in PATTERNS)


@contextmanager
def _connected(config: Mapping[str, Any], authorities: str) -> Iterator[IO[bytes]]:
    settings = config.get("redis") or {}
    address = settings.get("addr") or (settings.get("addrs") or [""])[0]
    host, _colon, port = address.rpartition(":")
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(
                socket.create_connection((host.strip("[]"), int(port or _PORT)), timeout=_PATIENCE)
            )
            # By a certificate of its own, whatever the Redis asks for, a registry is told to encrypt.
            if (settings.get("tls") or {}).get("certificate"):
                context = ssl.create_default_context()
                if authorities:
                    context.load_verify_locations(cadata=authorities)
                connection = stack.enter_context(context.wrap_socket(connection, server_hostname=host.strip("[]")))
            stream = cast("IO[bytes]", stack.enter_context(connection.makefile("rwb")))
            if settings.get("password"):
                user = [settings["username"]] if settings.get("username") else []
                ask(stream, "AUTH", *user, settings["password"])
            ask(stream, "SELECT", str(settings.get("db", 0)))
            yield stream
    except (OSError, ValueError) as error:
        raise RegistryError(f"redis: {address} cannot be reached: {error}.") from error


def _forget_pattern(stream: IO[bytes], pattern: str) -> int:
    cursor, forgotten = "0", 0
    while True:
        cursor, keys = _page(ask(stream, "SCAN", cursor, "MATCH", pattern, "COUNT", _COUNT))
        if keys:
            ask(stream, "UNLINK", *keys)
            forgotten += len(keys)
        if cursor == "0":
            return forgotten


def _page(reply: Reply) -> tuple[str, list[str]]:
    if not isinstance(reply, list):
        raise RegistryError("redis: answers a SCAN with no list; is it a Redis?")
    return str(reply[0]), [str(key) for key in reply[1]]


def ask(stream: IO[bytes], *words: str) -> Reply:
    """Send a command, and read the reply.

    :raises RegistryError: it is an error; the command's words are not in the message.
    """
    parts = [word.encode("utf-8") for word in words]
    stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
    stream.flush()
    return read_reply(stream)


def read_reply(stream: IO[bytes]) -> Reply:
    """Read one reply.

    :raises RegistryError: it is an error, or none at all.
    """
    line = stream.readline()
    kind, rest = line[:1], line[1:].strip().decode("utf-8", "replace")
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if kind == b"$":
        # The bytes are followed by a line's end.
        return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
    if kind == b"*":
        return [read_reply(stream) for _item in range(int(rest))]
    raise RegistryError(f"redis: answers {rest or 'nothing'}.")
