# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all is well with registries and their clients: what was seen, held against what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._history import last

OK, WARNING, CRITICAL = LEVELS = ("ok", "warning", "critical")

_UNKNOWN = "an unknown registry"
_UNSEEN = "The host cannot be reached, or failed before it could be looked at; the playbook's output tells why."

_DAY = 24 * 3600
_EARLY = 2
"""How many times a limit is left where a warning begins."""


@dataclass(frozen=True)
class Finding:
    """Something that was looked at, how it is, and a sentence on it."""

    level: str
    about: str
    text: str


@dataclass(frozen=True)
class Limits:
    """Below or above which something is critical. 0 days: it is not looked at."""

    certificate_days: int
    disk_free_percent: int
    cost: int
    backup_days: int
    collection_days: int


def report(
    servers: Sequence[Mapping[str, Any]],
    clients: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any],
    now: float,
    expected: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole report, as it is written in JSON and shown as a page.

    Of *expected*, hosts that nothing was seen of are told as well.

    *servers* have ``host``, ``registry`` and ``anonymous_expected``, and ``error`` or ``info`` and ``probe`` with what
    the modules returned. *clients* have ``host``, ``registry``, and ``error`` or ``reasons``, why they are not as they
    should be. *now* is in seconds since the epoch.
    """
    wanted = Limits(**{name: int(value) for name, value in limits.items()})
    seen = {each["host"] for each in [*servers, *clients]}
    unseen = [{"host": host, "registry": _UNKNOWN, "error": _UNSEEN} for host in expected if host not in seen]
    registries = [_registry(server, wanted, now) for server in [*servers, *unseen]]
    described = [_client(client) for client in clients]
    levels = [each["level"] for each in [*registries, *described]]
    return {
        "time": int(now),
        "level": worst(levels),
        "limits": asdict(wanted),
        "registries": registries,
        "clients": described,
    }


def worst(levels: Iterable[str]) -> str:
    return max(levels, key=LEVELS.index, default=OK)


def _registry(server: Mapping[str, Any], limits: Limits, now: float) -> dict[str, Any]:
    info = server.get("info")
    findings = [Finding(CRITICAL, "host", str(server["error"]))] if server.get("error") else []
    if not info and not server.get("error"):
        findings.append(_anonymous(server))
    if info:
        findings += [
            *_container(info["container"]),
            *_certificates(info["certificates"], limits),
            _anonymous(server),
            *_users(info["users"], limits),
            _disk(info["disk"], limits),
            *_images(info),
            *_done("backup", "backup", limits.backup_days, info["history"], now),
            *_done("collection", "garbage_collect", limits.collection_days, info["history"], now),
        ]
    return {
        "host": server["host"],
        "registry": server["registry"],
        "level": worst(finding.level for finding in findings),
        "findings": [asdict(finding) for finding in findings],
        "info": info,
    }


def _client(client: Mapping[str, Any]) -> dict[str, Any]:
    problems = [str(client["error"])] if client.get("error") else [str(reason) for reason in client["reasons"]]
    return {
        "host": client["host"],
        "registry": client["registry"],
        "level": CRITICAL if problems else OK,
        "problems": problems,
    }


def _container(container: Mapping[str, Any]) -> list[Finding]:
    if not container["runs"]:
        return [Finding(CRITICAL, "container", f"The container {container['name']} does not run.")]
    findings = [Finding(OK, "version", f"Registry {container['version']}, image {container['image']}.")]
    if container["interrupted"]:
        text = (
            "A garbage collection or backup goes on, or was interrupted: pushes are refused. If it was, run site.yml."
        )
        findings.append(Finding(WARNING, "container", text))
    if container["problems"]:
        text = f"The container {', '.join(container['problems'])}. Run site.yml."
        findings.append(Finding(WARNING, "container", text))
    else:
        findings.append(Finding(OK, "container", "It runs, hardened, and starts with its engine."))
    return findings


def _certificates(certificates: Mapping[str, Any], limits: Limits) -> list[Finding]:
    findings = []
    for name, certificate in (("certificate", certificates["server"]), ("CA", certificates["ca"])):
        if certificate is None:
            continue
        days = certificate["days_left"]
        ends = f"{days} days left, until {certificate['not_after'][:10]}"
        text = f"The {name} has expired, on {certificate['not_after'][:10]}." if days < 0 else f"The {name} has {ends}."
        findings.append(Finding(_short(days, limits.certificate_days), name, text))
    return findings


def _short(left: float, limit: int) -> str:
    """How it is with what gets less, critical below the limit."""
    return CRITICAL if left < limit else WARNING if left < _EARLY * limit else OK


def _anonymous(server: Mapping[str, Any]) -> Finding:
    seen = (server.get("probe") or {}).get("anonymous")
    expected = server["anonymous_expected"]
    if seen is None:
        return Finding(CRITICAL, "access", str(server.get("probe_error") or "The registry was not asked."))
    if seen != expected:
        text = f"Without a password, access is {seen}, and should be {expected}. Run site.yml."
        return Finding(CRITICAL, "access", text)
    return Finding(OK, "access", f"Without a password, access is {seen}, as it should be.")


def _users(users: Optional[Sequence[Mapping[str, Any]]], limits: Limits) -> list[Finding]:
    if users is None:
        return []
    weak = [user["name"] for user in users if user["cost"] is None or user["cost"] < limits.cost]
    if weak:
        text = f"Hashes of a cost below {limits.cost}, or none of bcrypt: {', '.join(weak)}."
        return [Finding(CRITICAL, "users", text)]
    costs = sorted({user["cost"] for user in users})
    return [Finding(OK, "users", f"{len(users)} users, bcrypt cost {', '.join(map(str, costs)) or 'none'}.")]


def _disk(disk: Mapping[str, int], limits: Limits) -> Finding:
    percent = 100 * disk["free"] / disk["total"]
    text = f"{percent:.0f} % of the disk are free, {_gibibytes(disk['free'])} of {_gibibytes(disk['total'])}."
    return Finding(_short(percent, limits.disk_free_percent), "disk", text)


def _gibibytes(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _images(info: Mapping[str, Any]) -> list[Finding]:
    if info["repositories"] is None:
        return [Finding(OK, "images", f"They are in a store that is not looked at, of the driver {info['driver']}.")]
    if info["damaged"]:
        return [Finding(CRITICAL, "images", " ".join(info["damaged"]))]
    tags = sum(len(repository["tags"]) for repository in info["repositories"])
    text = f"{tags} tags in {len(info['repositories'])} repositories, all with all that they need."
    return [Finding(OK, "images", text)]


def _done(about: str, event: str, days: int, history: list[dict[str, Any]], now: float) -> list[Finding]:
    newest: Optional[dict[str, Any]] = last(history, event)
    if newest is None:
        return [Finding(CRITICAL, about, f"There was no {about} yet.")] if days else []
    age = (now - newest["time"]) / _DAY
    text = f"The last {about} was {age:.0f} days ago."
    return [Finding(CRITICAL if days and age > days else OK, about, text)]
