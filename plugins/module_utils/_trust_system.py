# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own trust store, for programs that are no container engines.

update-ca-certificates(8) of Debian, update-ca-trust(8) of the Red Hat family.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file, remove_file
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import read_anchor, render_anchor
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import ABSENT, TLS, Desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_engine import EnginePlan
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import (
    CERTIFICATES,
    File,
    Step,
    plan_files,
)

_TIMEOUT = 120


@dataclass(frozen=True)
class Family:
    """Where a family of distributions has its own anchors, what renews the store, and the file that programs read.

    Where the store also has a link to each anchor, one that leads nowhere tells of a run that was interrupted.
    """

    program: str
    anchors: str
    bundle: str
    links: str = ""


FAMILIES = (
    Family(
        "update-ca-certificates",
        "/usr/local/share/ca-certificates",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs",
    ),
    Family("update-ca-trust", "/etc/pki/ca-trust/source/anchors", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
)


@dataclass(frozen=True)
class SystemStore:
    """A file for each certificate, since update-ca-certificates takes one of several for broken."""

    name: str = "system"
    root: str = ""

    def is_here(self) -> bool:
        return self._family() is not None

    def is_found(self, desired: Desired) -> bool:
        """Never without being named, but for what is to be removed."""
        return desired.trust == ABSENT and bool(self._present(desired) or self._dangling(desired))

    def why_missing(self) -> str:
        return "Neither update-ca-certificates nor update-ca-trust is on this host. Install ca-certificates"

    def plan(self, desired: Desired) -> EnginePlan:
        family = self._family()
        if family is None:
            return EnginePlan()
        anchor = desired.anchor if desired.trust == TLS else ()
        wanted = [
            File(self._path(family, desired, number), CERTIFICATES, render_anchor([der]))
            for number, der in enumerate(anchor, start=1)
        ]
        kept = {file.path for file in wanted}
        gone = [File(path, CERTIFICATES) for path in self._present(desired) if path not in kept]
        steps = plan_files([*wanted, *gone], force=desired.force)
        bundle = f"{self.root}{family.bundle}"
        missing = set(anchor) - set(read_anchor(read_file(bundle) or b""))
        if steps or missing or self._dangling(desired):
            reason = f"{bundle}: {'lacks the certificate' if missing else 'has to follow'}"
            steps.append(Step(reason, lambda: self._renew(family, desired)))
        return EnginePlan(steps=tuple(steps), trust_files=tuple(file.path for file in wanted))

    def _renew(self, family: Family, desired: Desired) -> None:
        """Have the store follow its files.

        Where update-ca-certificates adds nothing, it leaves the links of what is gone.
        """
        run_program(family.program)
        dangling = self._dangling(desired)
        for path in dangling:
            remove_file(path)
        if dangling:
            run_program("openssl", "rehash", f"{self.root}{family.links}")

    def _family(self) -> Family | None:
        return next((family for family in FAMILIES if find_program(family.program, self.root)), None)

    def _path(self, family: Family, desired: Desired, number: int) -> str:
        return f"{self.root}{family.anchors}/stronghold-{desired.file_name}-{number}.crt"

    def _present(self, desired: Desired) -> list[str]:
        family = self._family()
        return self._ours(family.anchors, desired, "crt") if family else []

    def _dangling(self, desired: Desired) -> list[str]:
        family = self._family()
        links = self._ours(family.links, desired, "pem") if family and family.links else []
        return [path for path in links if not os.path.exists(path)]

    def _ours(self, directory: str, desired: Desired, ending: str) -> list[str]:
        """Our files for a registry in a directory."""
        name = re.compile(rf"stronghold-{re.escape(desired.file_name)}-[0-9]+\.{ending}")
        place = f"{self.root}{directory}"
        names = sorted(os.listdir(place)) if os.path.isdir(place) else []
        return [os.path.join(place, each) for each in names if name.fullmatch(each)]


def run_program(*command: str) -> None:
    """Run a program that renews the store.

    :raises RegistryError: it fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"engines: {command[0]} cannot be run ({error}).") from error
    if done.returncode != 0:
        raise RegistryError(f"engines: {' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
