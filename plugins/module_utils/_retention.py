# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images of a registry are kept, by rules, and which manifests can go without harm to those that are kept."""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._storage import DamageError, Manifest, Storage, Tag

_UNITS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_AGE = re.compile(r"([0-9]+)([hdw])")
_ATTACHED = re.compile(r"sha256-([0-9a-f]{64})(?:\..+)?")
"""The tag of a signature, attestation or list of referrers: the digest of what it belongs to, with a dash for the colon
(OCI distribution-spec 1.1, referrers tag schema; cosign)."""


@dataclass(frozen=True)
class Rule:
    """What is kept in the repositories that match one of the patterns; what nothing keeps, goes.

    Ages are in seconds. Patterns are those of a shell, in which ``*`` spans slashes.
    """

    repositories: tuple[str, ...]
    keep_newest: int = 0
    keep_younger_than: Optional[int] = None
    keep_tags: tuple[str, ...] = ()
    remove_untagged_after: Optional[int] = None

    def keeps_tags(self) -> bool:
        return bool(self.keep_newest or self.keep_younger_than is not None or self.keep_tags)


@dataclass(frozen=True)
class Repository:
    """A repository as found: its tags, its manifests by digest, tagged or not, and when each was pushed."""

    name: str
    tags: tuple[Tag, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    pushed: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Plan:
    """What is to happen to one repository.

    *kept* and *pruned* tell why, by tag. *manifests* are the digests to delete, each before those that it needs. What
    kept tags *need* stays, and *pushed* tells of all that is there when it was pushed. Where a manifest is damaged,
    the plan is to do nothing, since nobody knows what it needs.
    """

    repository: str
    kept: dict[str, str] = field(default_factory=dict)
    pruned: dict[str, str] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)
    untagged: int = 0
    needed: set[str] = field(default_factory=set)
    pushed: Mapping[str, float] = field(default_factory=dict)
    damaged: bool = False

    def empties(self) -> bool:
        """Whether no image is left of some, whatever signatures are."""
        return any(not is_attached(tag) for tag in self.pruned) and all(is_attached(tag) for tag in self.kept)


def is_attached(tag: str) -> bool:
    """Whether a tag is that of a signature or the like."""
    return _ATTACHED.fullmatch(tag) is not None


def parse_age(text: object, path: str) -> int:
    """Read an age such as ``36h``, ``30d`` or ``4w``, in seconds.

    :raises RegistryError: it is none.
    """
    match = _AGE.fullmatch(str(text))
    if not match:
        raise RegistryError(f"{path}: '{text}' is no age; write such as 36h, 30d or 4w.")
    return int(match[1]) * _UNITS[match[2]]


def parse_rules(rules: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Read the parameter ``rules``.

    :raises RegistryError: a rule that says nothing, or would keep nothing.
    """
    parsed = []
    for position, given in enumerate(rules):
        path = f"rules[{position}]"
        ages = {
            key: parse_age(given[key], f"{path}.{key}") if given.get(key) is not None else None
            for key in ("keep_younger_than", "remove_untagged_after")
        }
        rule = Rule(
            repositories=tuple(given["repositories"]),
            keep_newest=given.get("keep_newest") or 0,
            keep_tags=tuple(given.get("keep_tags") or ()),
            **ages,
        )
        if not rule.repositories:
            raise RegistryError(f"{path}.repositories: is empty; name patterns such as team/* or *.")
        if rule.keep_newest < 0:
            raise RegistryError(f"{path}.keep_newest: is {rule.keep_newest}, wanted 0 or more.")
        if not rule.keeps_tags() and rule.remove_untagged_after is None:
            raise RegistryError(
                f"{path}: says nothing of what to keep; give one of keep_newest, keep_younger_than and keep_tags, "
                "or remove_untagged_after to keep all that has a tag."
            )
        parsed.append(rule)
    return tuple(parsed)


def rule_for(repository: str, rules: Iterable[Rule]) -> Optional[Rule]:
    """The first rule whose patterns match; a repository without one is left alone."""
    return next((rule for rule in rules if _matches(repository, rule.repositories)), None)


def read_repository(storage: Storage, name: str) -> Repository:
    """Read a repository's tags and manifests; manifests that are damaged are left out, and so are never deleted."""
    pushed = storage.revisions(name)
    manifests = {}
    for digest in pushed:
        with contextlib.suppress(DamageError):
            manifests[digest] = storage.manifest(digest)
    return Repository(name, tuple(storage.tags(name)), manifests, pushed)


def plan(repository: Repository, rule: Rule, always_keep: Sequence[str], now: float) -> Plan:
    """Decide what goes. Nothing does that a kept tag needs: neither its manifest nor those that this is an index of.

    *now* is in seconds since the epoch.
    """
    result = Plan(repository.name, pushed=repository.pushed)
    for tag, reason in _kept(repository, rule, always_keep, now):
        result.kept[tag.name] = reason
    if not _is_readable(repository):
        for tag in repository.tags:
            result.kept.setdefault(tag.name, "a manifest here is damaged, so nobody knows what it needs")
        result.damaged = True
        return result
    result.needed = needed = _with_all_below(
        (tag.digest for tag in repository.tags if tag.name in result.kept), repository.manifests
    )
    _add_attached(needed, repository)
    going = _untagged(repository, rule, now) - needed
    result.untagged = len(going)
    for tag in repository.tags:
        if tag.name not in result.kept and not _subject(tag):
            # A manifest is deleted with all of its tags.
            if tag.digest in needed:
                result.kept[tag.name] = "a kept tag needs the same manifest"
            else:
                result.pruned[tag.name] = "no rule keeps it"
                going |= _with_all_below([tag.digest], repository.manifests) - needed
    _decide_attached(repository, result, going, needed)
    result.manifests = _parents_first(going, repository.manifests)
    return result


def _is_readable(repository: Repository) -> bool:
    """Whether all manifests could be read: of one that could not, nobody knows what it is an index of."""
    there = set(repository.pushed) | {tag.digest for tag in repository.tags}
    return there <= repository.manifests.keys()


def _kept(repository: Repository, rule: Rule, always_keep: Sequence[str], now: float) -> Iterable[tuple[Tag, str]]:
    # Tags that were pushed in the same moment are all kept, or the choice would be an accident. Signatures don't count.
    times = sorted((tag.pushed for tag in repository.tags if not _subject(tag)), reverse=True)
    newest = times[min(rule.keep_newest, len(times)) - 1] if rule.keep_newest and times else None
    for tag in repository.tags:
        if _matches(f"{repository.name}:{tag.name}", always_keep):
            yield tag, "always kept"
        elif _matches(tag.name, rule.keep_tags):
            yield tag, "its name is kept"
        # It stays and goes with what it belongs to, however new it is.
        elif _subject(tag) in repository.pushed:
            continue
        elif rule.keep_younger_than is not None and now - tag.pushed < rule.keep_younger_than:
            yield tag, f"pushed {_days(now - tag.pushed)} ago"
        elif _subject(tag):
            continue
        elif not rule.keeps_tags():
            yield tag, "only what has no tag is removed"
        elif newest is not None and tag.pushed >= newest:
            yield tag, f"one of the newest {rule.keep_newest}"


def _subject(tag: Tag) -> str:
    """The digest of what a signature or the like belongs to, by its tag."""
    match = _ATTACHED.fullmatch(tag.name)
    return f"sha256:{match[1]}" if match else ""


def _decide_attached(repository: Repository, result: Plan, going: set[str], needed: set[str]) -> None:
    """A signature goes with what it belongs to, when that goes from this repository, and stays otherwise."""
    pending = [tag for tag in repository.tags if tag.name not in result.kept and tag.name not in result.pruned]
    while True:
        found = [tag for tag in pending if _subject(tag) in going and tag.digest not in needed]
        if not found:
            break
        for tag in found:
            pending.remove(tag)
            result.pruned[tag.name] = f"belongs to {_subject(tag)[:19]}, which goes"
            going |= _with_all_below([tag.digest], repository.manifests) - needed
    for tag in pending:
        result.kept[tag.name] = f"belongs to {_subject(tag)[:19]}, which does not go from here"
    going -= _with_all_below((tag.digest for tag in pending), repository.manifests)
    for tag in repository.tags:
        if tag.name in result.pruned and tag.digest not in going:
            del result.pruned[tag.name]
            result.kept[tag.name] = "a kept tag needs the same manifest"


def _add_attached(needed: set[str], repository: Repository) -> None:
    """Add what belongs to what is needed, by its tag or by its subject, and what belongs to that in turn."""
    while True:
        more = {tag.digest for tag in repository.tags if _subject(tag) in needed}
        more |= {digest for digest, manifest in repository.manifests.items() if manifest.subject in needed}
        if more <= needed:
            return
        needed |= _with_all_below(more, repository.manifests)


def _untagged(repository: Repository, rule: Rule, now: float) -> set[str]:
    """What no tag leads to, and was pushed longer ago than the rule says."""
    if rule.remove_untagged_after is None:
        return set()
    reachable = _with_all_below((tag.digest for tag in repository.tags), repository.manifests)
    _add_attached(reachable, repository)
    return {
        digest
        for digest in repository.manifests.keys() - reachable
        # An image that is just being pushed has no tag yet.
        if now - repository.pushed[digest] >= rule.remove_untagged_after
    }


def _with_all_below(digests: Iterable[str], manifests: Mapping[str, Manifest]) -> set[str]:
    """Manifests with those that they are indexes of, and so on."""
    found: set[str] = set()
    pending = list(digests)
    while pending:
        digest = pending.pop()
        if digest not in found:
            found.add(digest)
            pending += [child.digest for child in manifests[digest].children] if digest in manifests else []
    return found


def _parents_first(digests: set[str], manifests: Mapping[str, Manifest]) -> list[str]:
    """An order in which no index is ever there without what it stands for; what is not there is left out."""
    there = sorted(digest for digest in digests if digest in manifests)
    above: dict[str, int] = dict.fromkeys(there, 0)
    for digest in there:
        for child in {child.digest for child in manifests[digest].children} & above.keys():
            above[child] += 1
    ordered = []
    free = [digest for digest in there if not above[digest]]
    while free:
        digest = free.pop(0)
        ordered.append(digest)
        for child in sorted({child.digest for child in manifests[digest].children} & above.keys()):
            above[child] -= 1
            if not above[child]:
                free.append(child)
    return ordered


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _days(seconds: float) -> str:
    days = int(seconds // _UNITS["d"])
    return f"{days} day{'' if days == 1 else 's'}"
