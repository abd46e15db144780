# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some keys of a Docker engine's daemon.json: merged in or taken away, while all others stay.

What a reload applies is in daemon/reload.go of moby. Two of its habits shape this file: it leaves most
settings as they are when their key is gone from the file, and does nothing when a key is given as a flag too.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ansible_collections.stronghold.registry.plugins.module_utils._address import (
    is_network,
    registry_problems,
)
from ansible_collections.stronghold.registry.plugins.module_utils._docker_engine import (
    Engine,
    find_dockerd,
    observe,
    service_state,
    validate,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    BACKUP_SUFFIX,
    Attributes,
    attributes_from,
    back_up,
    explain_attributes,
    read_text,
    remove_file,
    set_attributes,
    write_file,
)

Object = dict[str, Any]

NEW_FILE_MODE = 0o644

RELOADED = frozenset(
    {
        "allow-nondistributable-artifacts",
        "debug",
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-runtime",
        "default-shm-size",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "network-diagnostic-port",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)
"""Keys that SIGHUP applies: daemon/reload.go and daemon/reload_unix.go of moby. All others need a restart."""

RESET_BY_RELOAD = frozenset(
    {
        "features",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "network-diagnostic-port",
    }
)
"""Those that SIGHUP sets back when they are gone from the file. The others stay until a restart."""

NEUTRAL: Object = {
    "debug": False,
    "insecure-registries": [],
    "labels": [],
    "live-restore": False,
    "registry-mirrors": [],
}
"""Keys that an engine tells in /info, with the value that means the same as no key; a reload applies it."""

_BOOLEANS = frozenset(
    {
        "debug",
        "experimental",
        "icc",
        "init",
        "ip-forward",
        "ip-masq",
        "ip6tables",
        "iptables",
        "ipv6",
        "live-restore",
        "no-new-privileges",
        "raw-logs",
        "selinux-enabled",
        "tls",
        "tlsverify",
        "userland-proxy",
    }
)
_NUMBERS = frozenset(
    {
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "mtu",
        "network-control-plane-mtu",
        "network-diagnostic-port",
        "oom-score-adjust",
        "shutdown-timeout",
    }
)
_TEXTS = frozenset(
    {
        "bip",
        "bridge",
        "cgroup-parent",
        "containerd",
        "data-root",
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-runtime",
        "exec-root",
        "fixed-cidr",
        "fixed-cidr-v6",
        "group",
        "log-driver",
        "log-format",
        "log-level",
        "metrics-addr",
        "pidfile",
        "seccomp-profile",
        "storage-driver",
        "swarm-default-advertise-addr",
        "tlscacert",
        "tlscert",
        "tlskey",
        "userns-remap",
    }
)
_TEXT_LISTS = frozenset(
    {
        "allow-nondistributable-artifacts",
        "authorization-plugins",
        "cdi-spec-dirs",
        "dns",
        "dns-opts",
        "dns-search",
        "exec-opts",
        "hosts",
        "insecure-registries",
        "labels",
        "node-generic-resources",
        "registry-mirrors",
        "storage-opts",
    }
)
_OBJECTS = frozenset(
    {
        "builder",
        "default-network-opts",
        "default-ulimits",
        "features",
        "log-opts",
        "proxies",
        "runtimes",
    }
)


@dataclass(frozen=True)
class Request:
    """What shall become of a daemon.json: what it has to hold, and what it must not."""

    path: str
    config: Object = field(repr=False, default_factory=dict)
    unwanted: Object = field(repr=False, default_factory=dict)
    replace_lists: bool = False
    attributes: Attributes = field(default_factory=Attributes)
    backup: bool = True
    dockerd: str | None = None

    @property
    def mentioned(self) -> Object:
        """The keys that it speaks of."""
        return {**self.unwanted, **self.config}


@dataclass(frozen=True)
class Needs:
    """What a running engine needs, and reasons for it that are no changes of the file."""

    reload: bool = False
    restart_keys: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def restart(self) -> bool:
        return bool(self.restart_keys)


@dataclass(frozen=True)
class Plan:
    """What a request comes to. An object that is None stands for a file that is not there."""

    request: Request
    before: Object | None = field(repr=False)
    after: Object | None = field(repr=False)
    reasons: tuple[str, ...] = ()
    attribute_reasons: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    needs: Needs = field(default_factory=Needs)

    @property
    def changed(self) -> bool:
        return bool(self.reasons or self.attribute_reasons)

    @property
    def all_reasons(self) -> list[str]:
        """Why the file changes, what is there for a reload only, and where the engine lags behind."""
        kept = [
            f"{key}: {json.dumps(NEUTRAL[key])} stays until the engine is reloaded, since a reload keeps a "
            "value whose key is gone; the next run removes it"
            for key in self.placeholders
        ]
        return [*self.reasons, *self.attribute_reasons, *kept, *self.needs.reasons]


def parse(text: str | None, path: str) -> Object | None:
    """Read a daemon.json. An empty one is an object without keys, as dockerd has it.

    :raises RegistryError: it is no JSON, or no object.
    """
    if text is None or not text.strip():
        return None if text is None else {}
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise RegistryError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. "
            "Mend it; nothing was written."
        ) from error
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{path} is not JSON: {error}. Mend it; nothing was written.") from error
    if not isinstance(parsed, dict):
        raise RegistryError(f"{path} holds {_kind(parsed)}, not an object. Mend or remove it; nothing was written.")
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def render(content: Object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def same(one: object, other: object) -> bool:
    """Whether two values mean the same in JSON, where 1 is not true and the order of keys says nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def merged(current: Object, config: Object, *, replace_lists: bool = False) -> Object:
    """The object with all keys of *config* set. Objects merge by key, lists by item unless replaced."""
    result = dict(current)
    for key, value in config.items():
        known = current.get(key)
        if isinstance(value, dict):
            nested = merged(known if isinstance(known, dict) else {}, value, replace_lists=replace_lists)
            if nested or key in current:
                result[key] = nested
        elif isinstance(value, list) and not replace_lists:
            items = _with_items(known if isinstance(known, list) else [], value)
            if items or key in current:
                result[key] = items
        else:
            result[key] = value
    return result


def _with_items(current: list[Any], items: list[Any]) -> list[Any]:
    result = list(current)
    for item in items:
        if not _contains(result, item):
            result.append(item)
    return result


def removed(current: Object, config: Object, *, replace_lists: bool = False) -> Object:
    """The object without the keys of *config*: of objects and lists only what is named.

    What is empty then goes altogether. With *replace_lists* a list goes as a whole.
    """
    result = dict(current)
    for key, value in config.items():
        known = current.get(key)
        rest: Any = None
        if isinstance(value, dict) and isinstance(known, dict):
            rest = removed(known, value, replace_lists=replace_lists)
        elif isinstance(value, list) and isinstance(known, list) and not replace_lists:
            rest = [item for item in known if not _contains(value, item)]
        if rest:
            result[key] = rest
        else:
            result.pop(key, None)
    return result


def _contains(items: list[Any], item: object) -> bool:
    return any(same(item, other) for other in items)


def explain(before: Object, after: Object, prefix: str = "") -> list[str]:
    """Why one object is not the other, in words; secrets in addresses are masked."""
    reasons = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new, name = before.get(key), after.get(key), f"{prefix}{key}"
        if key in before and key in after and same(old, new):
            continue
        if isinstance(new, dict) and (key not in before or isinstance(old, dict)):
            reasons.extend(explain(old or {}, new, f"{name}.") or [f"{name}: an empty object, was not set"])
        elif isinstance(new, list) and (key not in before or isinstance(old, list)):
            reasons.append(f"{name}: {_explain_list(old or [], new)}")
        elif key not in after:
            gone = _explain_list(old, []) if isinstance(old, list) and old else f"removed, was {_text(old)}"
            reasons.append(f"{name}: {gone}")
        else:
            reasons.append(f"{name}: {_text(new)}, " + (f"was {_text(old)}" if key in before else "was not set"))
    return reasons


def _explain_list(old: list[Any], new: list[Any]) -> str:
    added = [_text(item) for item in new if not _contains(old, item)]
    gone = [_text(item) for item in old if not _contains(new, item)]
    parts = []
    if added:
        parts.append("adds " + ", ".join(added))
    if gone:
        parts.append("removes " + ", ".join(gone))
    return "; ".join(parts) or ("other order" if new else "an empty list")


def _text(value: object) -> str:
    value = masked(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def masked(value: object) -> object:
    """A value without the credentials that an address in it may bear, such as a proxy's."""
    if isinstance(value, str):
        return re.sub(r"(?<=://)[^/\s]*@", "***@", value)
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked_object(value) if isinstance(value, dict) else value


def masked_object(content: Object) -> Object:
    return {key: masked(value) for key, value in content.items()}


def selected(content: Object, config: Object) -> Object:
    """The part of an object that *config* speaks of."""
    return {
        key: selected(value, config[key]) if isinstance(value, dict) and isinstance(config[key], dict) else value
        for key, value in content.items()
        if key in config
    }


def check_config(config: Object) -> None:
    """Check the keys whose types are known; dockerd would not start with a wrong one.

    :raises RegistryError: which key is wrong, and how it is written.
    """
    for key, value in config.items():
        problem = _type_problem(key, value) or _content_problem(key, value)
        if problem:
            raise RegistryError(f"config: {key} {problem}.")
    try:
        json.dumps(config, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RegistryError(f"config: it cannot be written as JSON ({error}).") from error


def _type_problem(key: str, value: object) -> str:
    expected = ""
    if key in _BOOLEANS and not isinstance(value, bool):
        expected = "true or false, without quotes"
    elif key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
        expected = "a whole number, without quotes"
    elif key in _TEXTS and not isinstance(value, str):
        expected = "a string"
    elif key in _TEXT_LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        expected = "a list of strings"
    elif key in _OBJECTS and not isinstance(value, dict):
        expected = "an object, that is keys and values"
    if expected:
        return f"is {_kind(value)}; it must be {expected}"
    return ""


def _content_problem(key: str, value: object) -> str:
    if key == "log-opts" and isinstance(value, dict):
        wrong = [name for name, option in value.items() if not isinstance(option, str)]
        return f"has an option that is no string, {wrong[0]}; put its value in quotes" if wrong else ""
    if key in _ITEM_CHECKS and isinstance(value, list):
        return next(filter(None, map(_ITEM_CHECKS[key], value)), "")
    return ""


def _insecure_problem(item: str) -> str:
    problems = [] if is_network(item) else registry_problems(item)
    return (
        f"has '{masked(item)}', which is neither host[:port] nor a network: {problems[0].rstrip('.')}"
        if problems
        else ""
    )


def _mirror_problem(item: str) -> str:
    if re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", item):
        return ""
    form = "https://mirror.example.com, without user, query or fragment"
    return f"has '{masked(item)}', which is no address of the form {form}"


def _label_problem(item: str) -> str:
    return "" if "=" in item[1:] else f"has '{item}', which is not of the form name=value"


_ITEM_CHECKS: Mapping[str, Callable[[str], str]] = {
    "insecure-registries": _insecure_problem,
    "labels": _label_problem,
    "registry-mirrors": _mirror_problem,
}


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def check_conflicts(config: Object, engine: Engine) -> None:
    """Refuse keys that dockerd is given as flags too: it would not start with both, nor reload.

    :raises RegistryError: which flag, which key, where it stands and what to do.
    """
    # daemon.json may nest what flags give flat: the proxies.
    keys = {*config, *config.get("proxies", {})} - {"runtimes"}
    conflicts = {
        f"{flag.key} is also given to dockerd as the flag {flag.text} by {flag.where}": None
        for flag in engine.flags_for(keys)
    }
    if conflicts:
        raise RegistryError(
            f"config: {'; '.join(conflicts)}. dockerd refuses to start with both: remove the flag there, "
            "its values can stand in config, and restart the engine; or leave the key out of config."
        )


def plan(request: Request, engine: Engine) -> Plan:
    """Read the file, and say what has to change and why.

    :raises RegistryError: wrong configuration, a file that cannot be parsed, or a conflict with a flag.
    """
    check_config(request.config)
    check_conflicts(request.config, engine)
    before = parse(read_text(request.path), request.path)
    after = removed(before or {}, request.unwanted, replace_lists=request.replace_lists)
    after = merged(after, request.config, replace_lists=request.replace_lists)
    placeholders = _lingering_keys(before or {}, after, request.unwanted, engine)
    after = _with_placeholders(before or {}, after, placeholders)
    reasons = explain(before or {}, after)
    gone = not after and (before is None or bool(reasons))
    return Plan(
        request=request if before is not None else _for_new_file(request),
        before=before,
        after=None if gone else after,
        reasons=tuple(reasons),
        attribute_reasons=() if gone else tuple(explain_attributes(request.path, request.attributes)),
        placeholders=tuple(placeholders),
        needs=engine_needs(before or {}, after, request.mentioned, engine),
    )


def _for_new_file(request: Request) -> Request:
    attributes = request.attributes
    mode = NEW_FILE_MODE if attributes.mode is None else attributes.mode
    return replace(request, attributes=replace(attributes, mode=mode))


def _lingering_keys(before: Object, after: Object, config: Object, engine: Engine) -> list[str]:
    """Keys whose value a running engine would not forget at a reload if they were gone from the file."""
    flagged = {flag.key for flag in engine.flags}
    return [
        key
        for key in NEUTRAL
        if engine.running
        and key in config
        and key not in after
        and key not in flagged
        and (key in before if engine.info is None else _lingers(key, config[key], engine.info))
    ]


def _with_placeholders(before: Object, after: Object, keys: Sequence[str]) -> Object:
    neutral = {key: NEUTRAL[key] for key in keys}
    # In the place that the key had, so that nothing else moves.
    kept = {key: neutral[key] if key in neutral else after[key] for key in before if key in after or key in neutral}
    new = {key: value for key, value in after.items() if key not in kept}
    return {**kept, **new, **neutral}


def _lingers(key: str, value: object, info: Object) -> bool:
    told = _TOLD[key](info)
    if isinstance(told, list) and isinstance(value, list):
        return any(_normal(key, item) in told for item in value)
    return told is not None and told != NEUTRAL[key]


def engine_needs(before: Object, after: Object, config: Object, engine: Engine) -> Needs:
    """What a running engine needs to do as the file says; one that is not running needs nothing."""
    reload_required = False
    restart_keys, reasons = [], []
    flagged = {flag.key for flag in engine.flags}
    for key in config if engine.running else ():
        changed = not same(selected(before, {key: None}), selected(after, {key: None}))
        if key in NEUTRAL and engine.info is not None:
            # A reload does nothing for a key that is not in the file.
            if key in after and key not in flagged and _differs(key, after[key], engine.info):
                reload_required = True
                reasons += [] if changed else [f"{key}: the running engine has another value than the file, reload it"]
        elif changed and key in RELOADED and (key in after or key in RESET_BY_RELOAD or key in NEUTRAL):
            reload_required = True
        elif changed:
            restart_keys.append(key)
    return Needs(reload=reload_required, restart_keys=tuple(restart_keys), reasons=tuple(reasons))


def _memory_path(path: str) -> str:
    """What is remembered of a daemon.json until the engine is restarted, or the host."""
    return f"/run/stronghold.registry{os.path.realpath(path).replace('/', '-')}.waiting"


def keys_that_wait(path: str, engine: Engine) -> list[str]:
    """The keys that former runs have changed, and the engine that runs now has not read."""
    try:
        remembered = json.loads(read_text(_memory_path(path)) or "{}")
    except ValueError:
        return []
    return list(remembered["keys"]) if engine.process and remembered.get("process") == engine.process else []


def _remember_keys(path: str, engine: Engine, keys: Sequence[str]) -> None:
    # The engine does not tell of all keys what it has, and only root can write there.
    if os.geteuid() == 0:
        content = json.dumps({"process": engine.process, "keys": list(dict.fromkeys(keys))})
        write_file(_memory_path(path), content.encode("utf-8"), Attributes(mode=0o600))


def _differs(key: str, value: object, info: Object) -> bool:
    told = _TOLD[key](info)
    if told is None:
        return False
    if isinstance(value, list) and isinstance(told, list):
        return {_normal(key, item) for item in value} != set(told)
    return not same(value, told)


def _normal(key: str, item: object) -> str:
    """An item as the engine tells it in /info."""
    item = str(item)
    if key == "registry-mirrors":
        return item.rstrip("/")
    if key == "insecure-registries" and is_network(item):
        return str(ipaddress.ip_network(item, strict=False))
    return item


_LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Networks that engines hold insecure whatever the file says."""


def _told_insecure(info: Object) -> list[str] | None:
    registries = info.get("RegistryConfig")
    if not isinstance(registries, dict):
        return None
    networks = [text for text in _texts(registries.get("InsecureRegistryCIDRs")) if text not in _LOOPBACK]
    indexes = registries.get("IndexConfigs")
    named = indexes.items() if isinstance(indexes, dict) else ()
    return networks + [name for name, index in named if isinstance(index, dict) and index.get("Secure") is False]


def _told_mirrors(info: Object) -> list[str] | None:
    registries = info.get("RegistryConfig")
    if not isinstance(registries, dict):
        return None
    return [mirror.rstrip("/") for mirror in _texts(registries.get("Mirrors"))]


def _texts(value: object) -> list[str]:
    """The texts in a list; a user's own engine may answer anything."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


_TOLD: Mapping[str, Callable[[Object], Any]] = {
    "debug": lambda info: info.get("Debug"),
    "insecure-registries": _told_insecure,
    "labels": lambda info: info.get("Labels") or [],
    "live-restore": lambda info: info.get("LiveRestoreEnabled"),
    "registry-mirrors": _told_mirrors,
}
"""How /info tells the value of a key; None where it does not."""


def check_content(made: Plan) -> None:
    """Have dockerd judge the new file, where there is one and a dockerd that can.

    :raises RegistryError: dockerd refuses it.
    """
    dockerd = find_dockerd(made.request.dockerd)
    if made.reasons and made.after and dockerd is not None:
        validate(dockerd, render(made.after), made.request.path)


def backup_path(made: Plan) -> str | None:
    """Where the former file is kept, or None where there is none to keep."""
    if not (made.request.backup and made.reasons and made.before and made.after is not None):
        return None
    return made.request.path + BACKUP_SUFFIX


def apply(made: Plan) -> None:
    """Do what a plan says."""
    request = made.request
    if backup_path(made) is not None:
        back_up(request.path)
    if made.reasons and made.after is None:
        # It held our keys alone, and so does its backup.
        remove_file(request.path)
        remove_file(request.path + BACKUP_SUFFIX)
    elif made.reasons:
        write_file(request.path, render(made.after or {}), request.attributes)
    elif made.attribute_reasons:
        set_attributes(request.path, request.attributes)


def diff(made: Plan) -> dict[str, str]:
    """The keys that the request speaks of, as they were and as they will be."""
    sides = {"before": made.before, "after": made.after}
    shown = {
        side: ""
        if content is None
        else render(masked_object(selected(content, made.request.mentioned))).decode("utf-8")
        for side, content in sides.items()
    }
    return {"before_header": made.request.path, "after_header": made.request.path, **shown}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module daemon_config: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, a file that cannot be parsed, or content that dockerd refuses.
    """
    absent = params["state"] == "absent"
    request = Request(
        path=params["path"],
        config={} if absent else params["config"],
        unwanted=params["config"] if absent else {},
        replace_lists=params["lists"] == "replace",
        attributes=attributes_from(params),
        backup=params["backup"],
        dockerd=params["dockerd"],
    )
    dockerd = find_dockerd(request.dockerd)
    if dockerd is None and params["engine_required"]:
        raise RegistryError(
            "engine_required: there is no Docker engine on this host (no dockerd in its path); "
            "install one, or set registry_docker_install of the role registry_docker to true."
        )
    service = service_state()
    engine = observe(request.path, params["docker_socket"])
    made = plan(request, engine)
    check_content(made)
    backup = backup_path(made)
    waiting = keys_that_wait(request.path, engine)
    if not check_mode:
        if made.needs.restart:
            _remember_keys(request.path, engine, [*waiting, *made.needs.restart_keys])
        apply(made)
    return {
        "changed": made.changed,
        "reasons": made.all_reasons
        + [f"{key}: was changed after the running engine was started, restart it" for key in waiting],
        "config": masked_object(selected(made.after or {}, request.mentioned)),
        "keys": sorted(made.after or {}),
        "backup_file": backup,
        "dockerd": dockerd,
        "active": service.active,
        "enabled": service.enabled,
        "systemd": service.systemd,
        "reload_required": made.needs.reload,
        "restart_required": made.needs.restart or bool(waiting),
        "placeholders": list(made.placeholders),
        "diff": diff(made),
    }
