# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman, Buildah, Skopeo and CRI-O, which share their libraries and so their files below /etc/containers.

containers-certs.d(5), containers-registries.conf.d(5), containers-registries.conf(5).
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._trust_certs import plan_certs, trust_files
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import ABSENT, INSECURE, TLS, Desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import EnginePlan
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import (
    File,
    foreign_files,
    marked_text,
    plan_emptied,
    plan_files,
)

_PROGRAMS = ("podman", "buildah", "skopeo", "crio")
_MARK = "# Made by the collection stronghold.registry; changes here are lost.\n"
_TEXT = marked_text(_MARK)
_SETTING = re.compile(r"""^\s*(?P<key>\w+)\s*=\s*(?P<quote>["']?)(?P<value>.*?)(?P=quote)\s*(#.*)?$""")


@dataclass(frozen=True)
class Podman:
    """certs.d for a trust anchor, both read at each request; registries.conf.d for the rest."""

    directory: str
    name: str = "podman"
    root: str = ""

    @property
    def certs(self) -> str:
        return os.path.join(self.directory, "certs.d")

    @property
    def drop_ins(self) -> str:
        return os.path.join(self.directory, "registries.conf.d")

    def is_here(self) -> bool:
        return any(find_program(program, self.root) for program in _PROGRAMS)

    def is_found(self, desired: Desired) -> bool:
        return os.path.isdir(self.directory) if desired.trust == ABSENT else self.is_here()

    def why_missing(self) -> str:
        return ""

    def plan(self, desired: Desired) -> EnginePlan:
        drop_in = self._drop_in(desired)
        self._check_others(desired, drop_in.path)
        steps, foreign = plan_certs(self.certs, desired)
        settings = plan_files([drop_in], force=desired.force)
        steps += [*settings, *(plan_emptied(self.drop_ins, [drop_in]) if settings else [])]
        kept = foreign_files(self.drop_ins, [drop_in])
        return EnginePlan(
            steps=tuple(steps),
            trust_files=(*trust_files(self.certs, desired), *([drop_in.path] if drop_in.content else [])),
            foreign=(*foreign, *(path for path in kept if path == drop_in.path)),
        )

    def _drop_in(self, desired: Desired) -> File:
        text = render_registries(desired)
        path = os.path.join(self.drop_ins, f"stronghold-{desired.file_name}.conf")
        return File(path, _TEXT, text.encode() if text else None)

    def _check_others(self, desired: Desired, ours: str) -> None:
        """Another file may make the registry insecure, or tell of what it mirrors; the last one wins silently.

        :raises RegistryError: which file it is.
        """
        if desired.trust == ABSENT:
            return
        main = os.path.join(self.directory, "registries.conf")
        for path in [main, *sorted(glob.glob(f"{glob.escape(self.drop_ins)}/*.conf"))]:
            tables = parse_tables((read_file(path) or b"").decode("utf-8", "replace")) if path != ours else []
            if desired.trust == TLS and makes_insecure(tables, desired.registry):
                raise RegistryError(
                    f"registry: {path} makes {desired.registry} insecure, so TLS would not be verified. "
                    "Remove it there."
                )
            for upstream in desired.mirrored:
                if any(table[""] == "[[registry]]" and _is_of(table, upstream) for table in tables):
                    raise RegistryError(
                        f"mirrored: {path} tells already where images of {upstream} come from. Remove it there, "
                        "or take it out of the list."
                    )


def render_registries(desired: Desired) -> str:
    """The settings of a registry that is insecure or a mirror; empty where none are needed."""
    insecure = "true" if desired.trust == INSECURE else "false"
    tables = []
    if desired.trust == INSECURE:
        tables.append(f'[[registry]]\nlocation = "{desired.registry}"\ninsecure = true\n')
    tables += [
        f'[[registry]]\nlocation = "{upstream}"\n\n'
        f'[[registry.mirror]]\nlocation = "{desired.registry}"\ninsecure = {insecure}\n'
        for upstream in desired.mirrored
    ]
    return _MARK + "\n" + "\n".join(tables) if tables else ""


def parse_tables(text: str) -> list[dict[str, str]]:
    """The tables of a registries.conf, each with its header under the empty key."""
    tables: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            tables.append({"": line.partition("#")[0].replace(" ", "").strip()})
        elif tables and (setting := _SETTING.match(line)):
            tables[-1][setting["key"]] = setting["value"]
    return tables


def _is_of(table: dict[str, str], registry: str) -> bool:
    return registry in (table.get("prefix"), table.get("location"))


def makes_insecure(tables: list[dict[str, str]], registry: str) -> bool:
    """Whether one of the tables says so of the registry."""
    return any(
        table[""] in ("[[registry]]", "[[registry.mirror]]")
        and table.get("insecure") == "true"
        and _is_of(table, registry)
        for table in tables
    )
