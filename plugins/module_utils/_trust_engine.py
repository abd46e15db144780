# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of container engine has to offer to the module client_trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import Desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import Step


@dataclass(frozen=True)
class EnginePlan:
    """What one engine needs, and what it will have then.

    *reload_process* is a user's id and the process of that user's engine. *unsupported* tells what the engine cannot do
    of what was asked, *warnings* what keeps it from reading its files.
    """

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    trust_files: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    reload_required: bool = False
    reload_process: tuple[int, int] | None = None
    placeholders: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ContainerEngine(Protocol):
    """A kind of container engine on this host."""

    @property
    def name(self) -> str:
        """As the parameter engines names it."""

    def is_here(self) -> bool:
        """Whether it is installed."""

    def is_found(self, desired: Desired) -> bool:
        """Whether ``auto`` means it: it is in use here, or what it trusted is to be removed."""

    def why_missing(self) -> str:
        """Why it is not here and what to do, where something is known of it; else nothing."""

    def plan(self, desired: Desired) -> EnginePlan:
        """What has to be done.

        :raises RegistryError: it cannot be done.
        """
