# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd: a hosts.toml for each registry, read at each request.

docs/hosts.md of containerd. Its CRI plugin reads it where config_path says so; ctr and nerdctl by their own option.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._trust_certs import certs_files
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import (
    ABSENT,
    DOCKER_HUB,
    INSECURE,
    Desired,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import EnginePlan
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import (
    File,
    Kind,
    foreign_files,
    marked_text,
    plan_emptied,
    plan_files,
    plan_opening,
)

_TIMEOUT = 60
_OTHER_USERS = ("kubelet", "nerdctl", "crictl")
_PLUGINS = {1: "cri", 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}
"""The plugin whose table ``registry`` has config_path, by the version of the configuration."""

_HUB_SERVER = "https://registry-1.docker.io"
_HEADER = re.compile(r"^\s*\[(?P<name>[^\[\]]+)\]\s*$")
_SETTING = re.compile(r"^\s*(?P<key>\w+)\s*=\s*(?P<value>.*?)\s*$")


@dataclass(frozen=True)
class CriRegistry:
    """What the CRI plugin says of registries: the version of its configuration, its directories, whether it is on."""

    version: int = 2
    config_path: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class Containerd:
    """hosts.toml, with the trust anchor beside it."""

    directory: str
    name: str = "containerd"
    root: str = ""

    @property
    def config_path(self) -> str:
        return os.path.join(self.directory, "config.toml")

    def is_here(self) -> bool:
        return find_program("containerd", self.root) is not None

    def is_found(self, desired: Desired) -> bool:
        certs = os.path.isdir(os.path.join(self.directory, "certs.d"))
        if desired.trust == ABSENT:
            return certs or self._names_a_path()
        # Where it is there for Docker alone, it pulls nothing by itself.
        alone = find_program("dockerd", self.root) is None
        used = any(find_program(program, self.root) for program in _OTHER_USERS)
        return self.is_here() and (alone or used or certs or self._names_a_path())

    def why_missing(self) -> str:
        return ""

    def _names_a_path(self) -> bool:
        return b"config_path" in (read_file(self.config_path) or b"")

    def plan(self, desired: Desired) -> EnginePlan:
        cri = read_cri(self.config_path) if self.is_here() and not self.root else CriRegistry()
        default = os.path.join(self.directory, "certs.d")
        certs = default if default in cri.config_path else [*cri.config_path, default][0]
        steps, kept = [], list[str]()
        names = [desired.registry, *desired.mirrored, *self._former_mirrors(certs, desired)]
        for name in names:
            directory = os.path.join(certs, name)
            files = _files_of(directory, name, desired)
            steps += plan_files(files, force=desired.force)
            steps += plan_opening(certs, directory) if files[-1].content else []
            steps += plan_emptied(directory, files, certs)
            kept += foreign_files(directory, files)
        return EnginePlan(
            steps=tuple(steps),
            trust_files=()
            if desired.trust == ABSENT
            else tuple(os.path.join(certs, name, "hosts.toml") for name in (desired.registry, *desired.mirrored)),
            foreign=tuple(kept),
            warnings=tuple(_path_problems(cri, certs, self.config_path)) if desired.trust != ABSENT else (),
        )

    def _former_mirrors(self, certs: str, desired: Desired) -> list[str]:
        """The upstreams whose hosts.toml we made for this registry, and which it mirrors no longer."""
        mark = _mark(desired.registry).encode()
        paths = sorted(glob.glob(os.path.join(glob.escape(certs), "*", "hosts.toml")))
        names = [os.path.basename(os.path.dirname(path)) for path in paths if (read_file(path) or b"").startswith(mark)]
        return [name for name in names if name not in (desired.registry, *desired.mirrored)]


def _mark(registry: str) -> str:
    return f"# Made by the collection stronghold.registry for {registry}; changes here are lost.\n"


def _kind(registry: str) -> Kind:
    return marked_text(_mark(registry), f"this collection for {registry}")


def _files_of(directory: str, name: str, desired: Desired) -> list[File]:
    """The files below the directory of the registry, or of one that it mirrors."""
    path = os.path.join(directory, "hosts.toml")
    wanted = desired.trust != ABSENT and name in (desired.registry, *desired.mirrored)
    content = render_hosts(os.path.join(os.path.dirname(directory), desired.registry), name, desired).encode()
    hosts = File(path, _kind(desired.registry), content if wanted else None, mode=0o600 if desired.login else 0o644)
    return [*(certs_files(directory, desired) if name == desired.registry else []), hosts]


def render_hosts(directory: str, name: str, desired: Desired) -> str:
    """A hosts.toml for *name*: the registry itself, or one that it mirrors.

    The registry's certificates are in *directory*.
    """
    upstream = _HUB_SERVER if name == DOCKER_HUB else f"https://{name}"
    itself = name == desired.registry
    capabilities = ["pull", "resolve", *(["push"] if itself else [])]
    lines = [
        _mark(desired.registry),
        f"server = {_quoted(desired.url if itself else upstream)}\n\n",
        f"[host.{_quoted(desired.url)}]\n",
        f"  capabilities = {_listed(capabilities)}\n",
    ]
    anchor, key, certificate = (file.path for file in certs_files(directory, desired))
    if desired.anchor and desired.trust != INSECURE:
        lines.append(f"  ca = {_quoted(anchor)}\n")
    if desired.client:
        lines.append(f"  client = [{_listed([certificate, key])}]\n")
    if desired.login:
        lines += [f"  [host.{_quoted(desired.url)}.header]\n", f"    Authorization = {_quoted(desired.login.header)}\n"]
    return "".join(lines)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def read_cri(config_path: str) -> CriRegistry:
    """What containerd itself makes of its configuration.

    :raises RegistryError: it cannot read it.
    """
    # Without a file containerd starts with its defaults, but refuses to dump one that is named and not there.
    arguments = ["--config", config_path, "config", "dump"] if os.path.exists(config_path) else ["config", "default"]
    command = [find_program("containerd") or "containerd", *arguments]
    try:
        dumped = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"engines: '{' '.join(command)}' cannot be run ({error}).") from error
    if dumped.returncode != 0:
        raise RegistryError(f"{config_path}: containerd cannot read it ({dumped.stderr.strip()}); mend it.")
    return parse_cri(dumped.stdout)


def parse_cri(text: str) -> CriRegistry:
    """Read what ``containerd config dump`` prints: one setting a line, of all plugins."""
    settings: dict[tuple[str, str], str] = {}
    table = ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            table = header["name"].replace("'", '"').replace('"', "")
        elif setting := _SETTING.match(line):
            settings[table, setting["key"]] = setting["value"].strip("\"'")
    version = int(settings.get(("", "version"), "1"))
    plugin = _PLUGINS.get(version, _PLUGINS[3])
    paths = settings.get((f"plugins.{plugin}.registry", "config_path"), "")
    disabled = settings.get(("", "disabled_plugins"), "")
    return CriRegistry(
        version=version,
        config_path=tuple(path for path in paths.split(":") if path),
        enabled=not re.search(rf"[\"'](cri|{re.escape(plugin)}|io\.containerd\.grpc\.v1\.cri)[\"']", disabled),
    )


def _path_problems(cri: CriRegistry, certs: str, config_path: str) -> list[str]:
    if not cri.enabled or certs in cri.config_path:
        return []
    table = f'plugins."{_PLUGINS.get(cri.version, _PLUGINS[3])}".registry'
    return [
        f"containerd's CRI plugin, and so Kubernetes, does not read {certs}: put config_path = '{certs}' into the "
        f"table [{table}] of {config_path} and restart containerd. ctr (--hosts-dir) and nerdctl read it all the same."
    ]
