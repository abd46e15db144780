# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine of this host: its program, its flags, and what a running one says of itself.

How flags and keys of daemon.json relate is in daemon/command/config.go and daemon/config/config.go of moby.
"""

from __future__ import annotations

import glob
import http.client
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account, acting_as
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program

DEFAULT_CONFIG = "/etc/docker/daemon.json"
DEFAULT_SOCKET = "/var/run/docker.sock"

_TIMEOUT = 60.0
"""Seconds that an engine may take to answer on its socket."""

_PART, _LARGEST = 64 * 1024, 64 * 1024 * 1024
"""Bytes that are read at once, and of the longest answer."""

_KEYS = {
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
"""The flags whose key in daemon.json has another name."""

_SHORT = {
    "b": "bridge",
    "D": "debug",
    "G": "group",
    "H": "host",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
_UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""In systemd's order of precedence (systemd.unit(5))."""


@dataclass(frozen=True)
class Flag:
    """A flag as dockerd is given it, the key of daemon.json that it stands for, and where it stands."""

    text: str
    key: str
    where: str
    value: str = field(default="", repr=False)


@dataclass(frozen=True)
class Engine:
    """What is known of the engine that reads a certain daemon.json."""

    running: bool = False
    flags: tuple[Flag, ...] = ()
    info: dict[str, Any] | None = field(default=None, repr=False)
    process: str = ""
    """Which process it is: its number, and when it was started, in ticks since the host was."""

    def flags_for(self, keys: Iterable[str]) -> list[Flag]:
        wanted = set(keys)
        return [flag for flag in self.flags if flag.key in wanted]


def observe(config_path: str, socket_path: str) -> Engine:
    """The engine that reads *config_path*: whether one runs, its flags, and its answer on *socket_path*.

    The socket is asked only where such a process is there, as connecting may make systemd start the engine.
    """
    process, running = next(
        ((process, flags) for process, flags in _all_running() if _reads(flags, config_path)), ("", None)
    )
    configured = configured_flags(config_path)
    return Engine(
        running=running is not None,
        flags=(*configured, *(running or ())),
        info=None if running is None else engine_info(socket_path),
        process=process,
    )


def observe_rootless(account: Account, socket_path: str) -> tuple[int | None, Engine]:
    """A user's engine, which runs in namespaces of its own and answers on *socket_path*, and its process."""
    for directory in glob.glob("/proc/[0-9]*"):
        number = int(os.path.basename(directory))
        try:
            arguments = _arguments(directory)
            owner = os.stat(directory).st_uid
        except OSError:
            continue
        if owner == account.uid and arguments and os.path.basename(arguments[0]) == "dockerd":
            flags = parse_flags(arguments[1:], f"the running dockerd (process {number})")
            with acting_as(account):
                return number, Engine(running=True, flags=flags, info=engine_info(socket_path))
    return None, Engine()


def _arguments(directory: str) -> list[str]:
    return _read_bytes(f"{directory}/cmdline").decode("utf-8", "surrogateescape").split("\0")[:-1]


def parse_flags(arguments: Sequence[str], where: str) -> tuple[Flag, ...]:
    """The flags among the arguments of dockerd, its own name left out."""
    flags = []
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        if argument.startswith("--") and argument != "--":
            value = value if equals else following
            flags.append(Flag(text=name, key=_KEYS.get(name[2:], name[2:]), where=where, value=value))
        elif argument.startswith("-") and argument not in ("-", "--"):
            flags.extend(_parse_short(argument[1:], following, where))
    return tuple(flags)


def _parse_short(letters: str, following: str, where: str) -> list[Flag]:
    flags = []
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter, letter)
        takes_value = letter != "D"
        value = (letters.lstrip("=") or following) if takes_value else ""
        flags.append(Flag(text=f"-{letter}", key=_KEYS.get(name, name), where=where, value=value))
        if takes_value:
            break
    return flags


def _reads(flags: Iterable[Flag], config_path: str) -> bool:
    """Whether a dockerd with these flags reads this daemon.json."""
    given = [flag.value for flag in flags if flag.key == "config-file"]
    return os.path.realpath((given or [DEFAULT_CONFIG])[-1]) == os.path.realpath(config_path)


def running_flags(config_path: str) -> tuple[Flag, ...] | None:
    """The flags of the running dockerd that reads *config_path*, or None where none runs.

    A dockerd in another mount namespace (in a container, or rootless) reads another file of that name.
    """
    return next((flags for _process, flags in _all_running() if _reads(flags, config_path)), None)


def may_be_asked(socket_path: str) -> bool:
    """Whether an engine may answer. Where none runs, systemd could start one for whoever connects to its socket."""
    if not _is_socket(socket_path):
        return False
    return any(True for _found in _all_running()) or not os.path.isdir("/run/systemd/system")


def _all_running() -> Iterator[tuple[str, tuple[Flag, ...]]]:
    """Each dockerd that root runs in this mount namespace, with its flags; anybody can call a process so."""
    for directory in glob.glob("/proc/[0-9]*"):
        try:
            arguments = _arguments(directory)
            if not arguments or os.path.basename(arguments[0]) != "dockerd":
                continue
            if os.stat(directory).st_uid != 0:
                continue
            if os.readlink(f"{directory}/ns/mnt") != os.readlink("/proc/self/ns/mnt"):
                continue
            # The fields after the name, which is in brackets and may hold anything (proc(5)).
            started = _read_bytes(f"{directory}/stat").rpartition(b")")[2].split()[19].decode("ascii")
        except OSError:
            # It ended meanwhile, or is another user's.
            continue
        number = os.path.basename(directory)
        yield f"{number} {started}", parse_flags(arguments[1:], f"the running dockerd (process {number})")


@dataclass(frozen=True)
class Service:
    """How the engine is kept running: whether it runs now, whether it will after the next boot, whether by systemd."""

    active: bool = False
    enabled: bool = False
    systemd: bool = False


def service_state(root: str = "") -> Service:
    """What systemd says of docker.service; without systemd, whether it runs and the init script is linked."""
    if os.path.isdir(f"{root}/run/systemd/system"):
        told = _run("systemctl", "show", "docker.service", "--property=ActiveState,UnitFileState").stdout.split()
        return Service("ActiveState=active" in told, "UnitFileState=enabled" in told, systemd=True)
    linked = bool(glob.glob(f"{root}/etc/rc[2-5].d/S[0-9][0-9]docker"))
    return Service(active=any(True for _found in _all_running()), enabled=linked)


def configured_flags(config_path: str, root: str = "") -> tuple[Flag, ...]:
    """What the service gives dockerd: by systemd's unit, or else by the init script's settings."""
    if os.path.isdir(f"{root}/run/systemd/system"):
        flags = _unit_flags(root)
    elif os.path.exists(f"{root}/etc/init.d/docker"):
        flags = _environment_flags(
            _environment_file(f"{root}/etc/default/docker"), "DOCKER_OPTS", "/etc/default/docker"
        )
    else:
        flags = ()
    return flags if _reads(flags, config_path) else ()


def _unit_flags(root: str) -> tuple[Flag, ...]:
    """The flags in ExecStart of docker.service, with what its variables stand for."""
    command, command_file = "", ""
    variables: dict[str, tuple[str, str]] = {}
    for path in _unit_files(root):
        for name, value in _unit_settings(f"{root}{path}"):
            if name == "ExecStart":
                command, command_file = value, path
            elif name == "Environment":
                variables.update({key: (text, path) for key, text in _assignments(_split(value))})
            elif name == "EnvironmentFile":
                source = value.lstrip("-")
                variables.update({key: (text, source) for key, text in _environment_file(f"{root}{source}").items()})
    return _expand(command, command_file, variables)


def _expand(command: str, command_file: str, variables: dict[str, tuple[str, str]]) -> tuple[Flag, ...]:
    flags: list[Flag] = []
    words: list[str] = []
    for word in _split(command)[1:]:
        match = re.fullmatch(r"\$\{?(?P<name>\w+)\}?", word)
        if match is None:
            words.append(word)
        elif match["name"] in variables:
            text, source = variables[match["name"]]
            flags.extend(_environment_flags({match["name"]: text}, match["name"], source))
    return (*parse_flags(words, f"ExecStart in {command_file}"), *flags)


def _environment_flags(variables: dict[str, str], name: str, source: str) -> tuple[Flag, ...]:
    return parse_flags(_split(variables.get(name, "")), f"{name} in {source}")


def _unit_files(root: str) -> list[str]:
    """docker.service and its drop-ins as systemd orders them. Of files of one name the first counts."""
    units = [f"{directory}/docker.service" for directory in _UNIT_DIRECTORIES]
    drop_ins: dict[str, str] = {}
    for directory in _UNIT_DIRECTORIES:
        for path in glob.glob(f"{root}{directory}/docker.service.d/*.conf"):
            drop_ins.setdefault(os.path.basename(path), path[len(root) :])
    unit = [path for path in units if os.path.exists(f"{root}{path}")][:1]
    return unit + [path for _name, path in sorted(drop_ins.items())]


def _unit_settings(path: str) -> list[tuple[str, str]]:
    text = _read_optional(path).replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#;[")
    return [(name.strip(), value.strip()) for name, equals, value in pairs if equals]


def _environment_file(path: str) -> dict[str, str]:
    text = _read_optional(path).replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines() if not line.lstrip().startswith("#"))
    pairs = _assignments(line[len("export ") :].lstrip() if line.startswith("export ") else line for line in lines)
    return {name: " ".join(_split(value)) for name, value in pairs}


def _assignments(words: Iterable[str]) -> list[tuple[str, str]]:
    pairs = (word.partition("=") for word in words)
    return [(name, value) for name, equals, value in pairs if equals]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        # An open quote: whoever starts dockerd with it will stumble; the flags before it are still told.
        return text.split()


def _read_optional(path: str) -> str:
    return (read_file(path) or b"").decode("utf-8", "replace")


def _read_bytes(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def engine_info(socket_path: str) -> dict[str, Any] | None:
    """What an engine answers to ``GET /info``, or None where there is none.

    :raises RegistryError: it listens, and does not answer.
    """
    info = ask(socket_path, "/info")
    return info if isinstance(info, dict) else None


def ask(socket_path: str, path: str) -> Any:
    """What an engine answers to a GET of the Docker Engine API; None for any status but 200, or where there is none.

    :raises RegistryError: it listens, and does not answer.
    """
    try:
        status, answer = _exchange(socket_path, "GET", path)
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    return answer if status == http.client.OK else None


def order(socket_path: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Have an engine do something by the Docker Engine API. Returns what it answers, None for nothing.

    :raises RegistryError: it refuses, which is told in its own words, or does not answer.
    """
    try:
        status, answer = _exchange(socket_path, method, path, body)
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise RegistryError(f"{socket_path}: no Docker engine answers there ({error}); start it.") from error
    if status >= http.client.BAD_REQUEST:
        said = str(answer.get("message") or status if isinstance(answer, dict) else status).rstrip(".")
        raise RegistryError(f"The Docker engine refuses {method} {path.partition('?')[0]}: {said}.")
    return answer


def _exchange(socket_path: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    connection = _UnixConnection(socket_path)
    try:
        if body is None:
            connection.request(method, path)
        else:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = _read_answer(response)
    except socket.timeout as error:
        raise RegistryError(
            f"{socket_path}: the engine does not answer, it gave no word in {_TIMEOUT:.0f} seconds. See what holds it "
            "up (systemctl status docker), have it restarted, then run this again."
        ) from error
    finally:
        connection.close()
    return response.status, json.loads(content) if content else None


def _read_answer(response: http.client.HTTPResponse) -> bytes:
    """The whole answer; one without end, or that drips, is not waited for: a user's engine may be anything."""
    end = time.monotonic() + _TIMEOUT
    parts, size = list[bytes](), 0
    while part := response.read1(_PART):
        parts.append(part)
        size += len(part)
        if size > _LARGEST or time.monotonic() > end:
            raise socket.timeout
    return b"".join(parts)


def find_dockerd(given: str | None = None, root: str = "") -> str | None:
    """The path of dockerd, or None where there is none.

    :raises RegistryError: a path was given, and there is no program.
    """
    if given is not None:
        if not os.access(given, os.X_OK):
            raise RegistryError(f"dockerd: {given} is no program on this host; give its path or leave this out.")
        return given
    return find_program("dockerd", root)


def validate(dockerd: str, content: bytes, path: str) -> None:
    """Have dockerd judge the content of a daemon.json, where it can: 20.10 has no such flag.

    :raises RegistryError: it refuses the content.
    """
    if "--validate" not in _run(dockerd, "--help").stdout:
        return
    with tempfile.TemporaryDirectory() as directory:
        # The directory is 0700: the file may hold a proxy's password.
        candidate = os.path.join(directory, "daemon.json")
        with open(candidate, "wb") as stream:
            stream.write(content)
        judged = _run(dockerd, "--validate", "--config-file", candidate)
    if judged.returncode != 0:
        said = (judged.stderr.strip() or judged.stdout.strip()).replace(candidate, path)
        raise RegistryError(
            f"{path}: dockerd refuses the new content ({said}); mend config or the file. Nothing was written."
        )


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Within acting_as a program could take root's rights back.
    identity: dict[str, Any] = {} if os.geteuid() == os.getuid() else {"user": os.geteuid(), "group": os.getegid()}
    try:
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60, **identity)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(
            f"{os.path.basename(arguments[0])}: '{' '.join(arguments)}' cannot be run ({error}); mend it."
        ) from error


def why_unsupported(root: str = "") -> str | None:
    """Why the docker of this host has no /etc/docker that it reads, or None where nothing says so."""
    program = f"{root}/usr/bin/docker"
    if os.path.basename(os.path.realpath(program)) == "podman" or b"podman" in _script(program):
        return (
            "/usr/bin/docker is Podman's shim (package podman-docker): there is no Docker engine that reads "
            "daemon.json. Install one (docker.io or docker-ce) in place of the shim"
        )
    if os.path.lexists(f"{root}/snap/bin/docker"):
        return (
            "Docker is installed as a snap, whose daemon.json is in /var/snap/docker/current/config and "
            "which this collection does not manage. Install docker.io or docker-ce in its place"
        )
    if os.path.isdir(f"{root}/opt/docker-desktop"):
        return (
            "Docker Desktop runs its engine in a virtual machine, whose settings are in its own window and which "
            "this collection does not manage. Install docker.io or docker-ce in its place"
        )
    return None


def _script(path: str) -> bytes:
    """The beginning of a script; nothing for a binary or where there is none."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(4096)
    except OSError:
        return b""
    return text if text.startswith(b"#!") else b""


def is_present(socket_path: str, root: str = "") -> bool:
    """Whether this host has a Docker engine: its program, or a socket where one listens."""
    return find_dockerd(root=root) is not None or _is_socket(socket_path)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
