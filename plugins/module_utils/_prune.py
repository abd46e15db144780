# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete what no rule keeps: planned from the storage, done by the registry. The logic of the module registry_prune."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._connection import (
    parse_credentials,
    parse_endpoint,
    parse_timeout,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Client, Credentials
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import open_storage, read_config
from ansible_collections.stronghold.registry.plugins.module_utils._retention import (
    Plan,
    Rule,
    parse_rules,
    plan,
    read_repository,
    rule_for,
)
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage

_UNAUTHORIZED = ": give username and password of a user who may delete"
_HINTS = {
    http.client.METHOD_NOT_ALLOWED: ": deletion is off, see registry_server_delete_enabled; or it is read-only",
    http.client.UNAUTHORIZED: _UNAUTHORIZED,
    http.client.FORBIDDEN: _UNAUTHORIZED,
}


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_prune: read, explain, delete. Returns what the module does.

    :raises RegistryError: rules that are none or would empty a repository, or a registry that does not delete.
    """
    with _open(params) as storage:
        pruning = _parse(params, storage)
        plans = pruning.plans()
        if not params["allow_empty"]:
            _refuse_empty(plans)
        if not check_mode:
            # Whoever restarts the registry meanwhile would cut a deletion off, and leave a tag without its manifest.
            with alone(params["directory"]) if params["directory"] else nullcontext():
                for each in plans:
                    pruning.delete(each)
    return {
        "changed": any(each.manifests for each in plans),
        "reasons": [reason for each in plans for reason in explain(each)],
        "warnings": [
            f"{each.repository}: nothing goes from here, since a manifest is damaged or was deleted, and nobody knows "
            "what it needs. Push its tags again or delete them; check names those that can't be pulled."
            for each in plans
            if each.damaged
        ],
        "repositories": [_told(each) for each in plans],
    }


@contextmanager
def _open(params: Mapping[str, Any]) -> Iterator[Storage]:
    data_directory, directory = params["data_directory"], params["directory"]
    if directory:
        config = read_config(os.path.join(directory, "config", "config.yml"))
        with ExitStack() as stack:
            yield stack.enter_context(open_storage(config, directory))
        return
    if not os.path.isdir(data_directory):
        raise RegistryError(
            f"data_directory: {data_directory} is no directory; name the one that the registry's storage driver "
            "filesystem has on this host."
        )
    yield Storage(data_directory)


def _parse(params: Mapping[str, Any], storage: Storage) -> Pruning:
    return Pruning(
        rules=parse_rules(params["rules"]),
        always_keep=tuple(params["always_keep"]),
        storage=storage,
        client=Client(parse_endpoint(params), parse_timeout(params)),
        credentials=parse_credentials(params),
    )


@dataclass(frozen=True)
class Pruning:
    """What is kept, and where the rest is read and deleted."""

    rules: tuple[Rule, ...]
    always_keep: tuple[str, ...]
    storage: Storage
    client: Client
    credentials: Optional[Credentials]

    def plans(self) -> list[Plan]:
        """What is to happen to each repository that a rule matches, sorted by name."""
        return [self._plan(name) for name in self.storage.repositories() if rule_for(name, self.rules)]

    def _plan(self, name: str) -> Plan:
        rule = rule_for(name, self.rules)
        if rule is None:
            return Plan(name)
        return plan(read_repository(self.storage, name), rule, self.always_keep, time.time())

    def delete(self, each: Plan) -> None:
        """Delete what is planned.

        :raises RegistryError: the registry refuses.
        """
        if not each.manifests:
            return
        planned, each.manifests = each.manifests, []
        known: set[tuple[str, str]] = set()
        now = Plan(each.repository)
        for digest in planned:
            # A tag may have been pushed since, for which one of these manifests is needed now.
            self.storage.refresh(each.repository)
            tags = {(tag.name, tag.digest) for tag in self.storage.tags(each.repository)}
            if not known or tags - known:
                now = self._plan(each.repository)
            known = tags
            # What was only needed by an index that is gone by now has no tag any more, and goes as planned.
            is_same = now.pushed.get(digest) == each.pushed.get(digest)
            if now.damaged or digest in now.needed or not (is_same or digest in now.manifests):
                continue
            path = f"/v2/{each.repository}/manifests/{digest}"
            reply = self.client.request("DELETE", path, credentials=self.credentials)
            # Somebody else may have deleted it meanwhile.
            if reply.status not in (http.client.ACCEPTED, http.client.NOT_FOUND):
                raise RegistryError(
                    f"{self.client.endpoint} answers {reply.fault} to the deletion of {each.repository}@{digest}"
                    f"{_HINTS.get(reply.status, '')}. Of this repository, {len(each.manifests)} of {len(planned)} "
                    "manifests were deleted before."
                )
            each.manifests.append(digest)


def _refuse_empty(plans: Sequence[Plan]) -> None:
    emptied = [each.repository for each in plans if each.empties()]
    if emptied:
        raise RegistryError(
            f"rules: they keep no tag of {', '.join(emptied)}. Mend them, or confirm with allow_empty that these "
            "images shall all go. Nothing was deleted."
        )


def explain(each: Plan) -> list[str]:
    """What goes from a repository, a sentence for each tag, and one for all that has none."""
    reasons = [f"{each.repository}:{tag} goes: {reason}" for tag, reason in each.pruned.items()]
    if each.untagged:
        reasons.append(f"{each.repository}: manifests without a tag go: {each.untagged}")
    return reasons


def _told(each: Plan) -> dict[str, Any]:
    return {
        "name": each.repository,
        "kept": each.kept,
        "pruned": each.pruned,
        "untagged": each.untagged,
        "manifests": each.manifests,
    }
