# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's container engines trust a registry, or no longer do.

An engine is a class with what :class:`ContainerEngine` names; containerd and Podman can join so.
What Docker reads for a registry is in registry/registry.go of moby (HostCertsDir, ReadCertsDirectory).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import ssl
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.stronghold.registry.plugins.module_utils import _daemon_json, _docker_engine
from ansible_collections.stronghold.registry.plugins.module_utils._address import registry_problems
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    explain_attributes,
    read_file,
    remove_file,
    set_attributes,
    write_file,
)

TLS, INSECURE, ABSENT = "tls", "insecure", "absent"

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DIRECTORY_MODE = 0o755
_READABLE = 0o555


@dataclass(frozen=True)
class Desired:
    """How the engines shall treat a registry, and its trust anchor: certificates in DER, or none."""

    registry: str
    trust: str = TLS
    anchor: tuple[bytes, ...] = ()
    force: bool = False


@dataclass(frozen=True)
class Step:
    """One change: why, what it changes (for a diff, before and after), and the doing."""

    reason: str
    perform: Callable[[], object] = field(repr=False)
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class EnginePlan:
    """What one engine needs, and what it will have then."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    trust_files: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    reload_required: bool = False
    placeholders: tuple[str, ...] = ()


class ContainerEngine(Protocol):
    """A kind of container engine on this host."""

    @property
    def name(self) -> str:
        """As the parameter engines names it."""

    def is_here(self, desired: Desired) -> bool:
        """Whether there is something to do: it is installed, or what it trusted is to be removed."""

    def why_missing(self) -> str:
        """Why it is not here and what to do, where something is known of it; else nothing."""

    def plan(self, desired: Desired) -> EnginePlan:
        """What has to be done.

        :raises RegistryError: it cannot be done.
        """


def parse_anchor(text: str) -> tuple[bytes, ...]:
    """The certificates in a PEM text, as DER; none in an empty one.

    :raises RegistryError: it holds no certificate, a broken one, or a private key, which is never shown.
    """
    if not text.strip():
        return ()
    if "PRIVATE KEY-----" in text:
        raise RegistryError(
            "ca_certificate: it holds a private key, which must not leave the host that made it. "
            "Give the certificate alone, the part from BEGIN CERTIFICATE to END CERTIFICATE."
        )
    blocks = _CERTIFICATE.findall(text)
    if not blocks:
        raise RegistryError(
            "ca_certificate: it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----."
        )
    return tuple(_parse_certificate(position, block) for position, block in enumerate(blocks, start=1))


def _parse_certificate(position: int, block: str) -> bytes:
    try:
        der = ssl.PEM_cert_to_DER_cert(block)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError) as error:
        raise RegistryError(
            f"ca_certificate: certificate {position} in it cannot be read; give it whole, as its file has it."
        ) from error
    return der


def render_anchor(anchor: Sequence[bytes]) -> bytes:
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in anchor).encode("ascii")


def parse_desired(params: dict[str, Any]) -> Desired:
    """Check what the module was given.

    :raises RegistryError: which parameter is wrong and why.
    """
    problems = registry_problems(params["registry"])
    if problems:
        raise RegistryError(f"registry: {' '.join(problems)}")
    return Desired(
        registry=params["registry"],
        trust=ABSENT if params["state"] == "absent" else params["security"],
        anchor=parse_anchor(params["ca_certificate"]),
        force=params["force"],
    )


@dataclass(frozen=True)
class Docker:
    """Docker: certs.d for a trust anchor, read at each request; daemon.json for an insecure registry."""

    directory: str
    socket: str
    name: str = "docker"
    root: str = ""

    @property
    def config_path(self) -> str:
        return os.path.join(self.directory, "daemon.json")

    def is_here(self, desired: Desired) -> bool:
        if desired.trust == ABSENT:
            return os.path.isdir(self.directory)
        return _docker_engine.is_present(self.socket, self.root)

    def why_missing(self) -> str:
        return _docker_engine.why_unsupported(self.root) or ""

    def plan(self, desired: Desired) -> EnginePlan:
        engine = _docker_engine.observe(self.config_path, self.socket)
        if desired.trust == TLS:
            _check_flags(desired.registry, engine)
        listed = self._plan_list(desired, engine)
        anchor, foreign = plan_certs_directory(os.path.join(self.directory, "certs.d"), desired)
        steps = list(anchor)
        if listed.changed:
            shown = _daemon_json.diff(listed)
            steps += [
                Step(
                    reason=f"{self.config_path}: {'; '.join(listed.reasons + listed.attribute_reasons)}",
                    perform=lambda: self._write_list(listed),
                    before=shown["before"],
                    after=shown["after"],
                )
            ]
        return EnginePlan(
            steps=tuple(steps),
            notes=tuple(listed.all_reasons[len(listed.reasons) + len(listed.attribute_reasons) :]),
            trust_files=tuple(self._trust_files(desired)),
            foreign=foreign,
            reload_required=listed.needs.reload,
            placeholders=listed.placeholders,
        )

    def _plan_list(self, desired: Desired, engine: _docker_engine.Engine) -> _daemon_json.Plan:
        request = _daemon_json.Request(
            path=self.config_path,
            config={"insecure-registries": [desired.registry]},
            absent=desired.trust != INSECURE,
        )
        planned = _daemon_json.plan(request, engine)
        _daemon_json.check_content(planned)
        return planned

    def _write_list(self, listed: _daemon_json.Plan) -> None:
        _make_directories(self.directory)
        _daemon_json.apply(listed)

    def _trust_files(self, desired: Desired) -> list[str]:
        if desired.trust == TLS and desired.anchor:
            return [os.path.join(self.directory, "certs.d", desired.registry, "ca.crt")]
        return [self.config_path] if desired.trust == INSECURE else []


def _check_flags(registry: str, engine: _docker_engine.Engine) -> None:
    for flag in engine.flags_for(["insecure-registries"]):
        if registry in flag.value.split(","):
            raise RegistryError(
                f"registry: {flag.where} makes {registry} insecure with the flag {flag.text}, so TLS would "
                "not be verified. Remove it there and restart the engine."
            )


def plan_certs_directory(certs: str, desired: Desired) -> tuple[list[Step], tuple[str, ...]]:
    """What has to be done below certs.d, and the files in the registry's directory that are not ours.

    :raises RegistryError: the ca.crt that is there is no certificate, and *force* is not set.
    """
    directory = os.path.join(certs, desired.registry)
    path = os.path.join(directory, "ca.crt")
    foreign = _foreign_files(directory)
    current = read_file(path)
    if desired.trust == TLS and desired.anchor:
        return _plan_anchor(path, current, desired), foreign
    steps = []
    if current is not None:
        steps.append(
            Step(f"{path}: is there, wanted absent", lambda: remove_file(path), before=_describe(current, path))
        )
    if not foreign and os.path.isdir(directory):
        steps.append(Step(f"{directory}: is empty, wanted absent", lambda: _remove_directories(directory, certs)))
    return steps, foreign


def _plan_anchor(path: str, current: bytes | None, desired: Desired) -> list[Step]:
    content = render_anchor(desired.anchor)
    attributes = Attributes(uid=os.geteuid(), gid=os.getegid(), mode=0o644)

    def put() -> None:
        _make_directories(os.path.dirname(path))
        write_file(path, content, attributes)

    reason = _explain_anchor(path, current, desired)
    if reason:
        before = "" if current is None else _describe(current, path)
        steps = [Step(f"{path}: {reason}", put, before=before, after=_describe(content, path))]
    else:
        mended = explain_attributes(path, attributes)
        steps = [Step(why, lambda: set_attributes(path, attributes)) for why in mended]
    return steps + _plan_opening(os.path.dirname(os.path.dirname(path)), os.path.dirname(path))


def _plan_opening(*directories: str) -> list[Step]:
    """Directories that are there already have to be readable to all, as the trust anchor is."""
    closed = [
        directory
        for directory in directories
        if os.path.isdir(directory) and stat.S_IMODE(os.stat(directory).st_mode) & _READABLE != _READABLE
    ]
    return [Step(f"{directory}: is closed to other users", _opener(directory)) for directory in closed]


def _opener(directory: str) -> Callable[[], None]:
    return lambda: os.chmod(directory, _DIRECTORY_MODE)


def _explain_anchor(path: str, current: bytes | None, desired: Desired) -> str:
    if current is None:
        return "is not there"
    found = _read_anchor(current)
    if found is None and not desired.force:
        raise RegistryError(f"{path} is no certificate; look at it, then remove it or set force to have it replaced.")
    if found is None:
        return "is no certificate"
    return "" if found == desired.anchor else "has another certificate"


def _read_anchor(content: bytes) -> tuple[bytes, ...] | None:
    try:
        return parse_anchor(content.decode("ascii", "replace")) or None
    except RegistryError:
        return None


def _describe(content: bytes, path: str) -> str:
    """A trust anchor in a diff: its fingerprints."""
    found = _read_anchor(content)
    if found is None:
        return f"{path}: no certificate\n"
    return "".join(f"{path}: SHA-256 {hashlib.sha256(der).hexdigest()}\n" for der in found)


def _foreign_files(directory: str) -> tuple[str, ...]:
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(os.path.join(directory, name) for name in names if name != "ca.crt")


def _make_directories(path: str) -> None:
    """Make a directory and its missing parents, all 0755 whatever the umask."""
    if os.path.isdir(path):
        return
    _make_directories(os.path.dirname(path))
    try:
        os.mkdir(path)
        os.chmod(path, _DIRECTORY_MODE)
    except OSError as error:
        raise RegistryError(f"{path} cannot be made: {error.strerror}.") from error


def _remove_directories(*paths: str) -> None:
    """Remove directories that are empty, in this order; one that is not stays."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def chosen_engines(names: Sequence[str], known: Sequence[ContainerEngine], desired: Desired) -> list[ContainerEngine]:
    """The engines to handle: those named, or with ``auto`` those that are on this host.

    :raises RegistryError: there is none to trust the registry.
    """
    if "auto" not in names:
        return [engine for engine in known if engine.name in names]
    here = [engine for engine in known if engine.is_here(desired)]
    if not here and desired.trust != ABSENT:
        known_reasons = [engine.why_missing() for engine in known if engine.why_missing()]
        reason = (
            known_reasons[0]
            if known_reasons
            else "There is no container engine on this host. Install one (docker.io or docker-ce)"
        )
        raise RegistryError(f"engines: {reason}, or name the engine to prepare the host before it is installed.")
    return here


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module client_trust: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, no engine, or a file that cannot be parsed.
    """
    desired = parse_desired(params)
    known: list[ContainerEngine] = [Docker(directory=params["docker_directory"], socket=params["docker_socket"])]
    engines = chosen_engines(params["engines"], known, desired)
    plans = [engine.plan(desired) for engine in engines]
    steps = [step for planned in plans for step in planned.steps]
    if not check_mode:
        for step in steps:
            step.perform()
    return {
        "changed": bool(steps),
        "reasons": [step.reason for step in steps] + [note for planned in plans for note in planned.notes],
        "engines": [engine.name for engine in engines],
        "trust_files": [path for planned in plans for path in planned.trust_files],
        "foreign": [path for planned in plans for path in planned.foreign],
        "placeholders": [key for planned in plans for key in planned.placeholders],
        "reload_required": any(planned.reload_required for planned in plans),
        "diff": {
            "before_header": desired.registry,
            "after_header": desired.registry,
            "before": "".join(step.before for step in steps),
            "after": "".join(step.after for step in steps),
        },
    }
