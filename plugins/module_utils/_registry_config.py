# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file of a registry: read, compared by meaning, and rendered whole."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import require
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    BACKUP_SUFFIX,
    Attributes,
    attributes_from,
    back_up,
    explain_attributes,
    make_directory,
    read_text,
    remove_file,
    set_attributes,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import (
    WRITABLE_SUFFIX,
    alone,
    is_left_over,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_schema import problems

SECRET_PATHS = (
    "*password",
    "*secret*",
    "storage.*key",
    "storage.*keyid",
    "storage.*connectionstring",
    "storage.*credentials*",
    "notifications.*.headers*",
    "health.*.headers*",
    "reporting.*key",
    "middleware.*.options*",
)
"""Whose values are never shown: patterns of the dotted path in lower case, in which ``*`` spans dots.
Of other values, only the user part of a URL is masked."""

DATA_MODE = 0o700

HEADER = "# Managed by Ansible (stronghold.registry); changes by hand are lost.\n"
MASK = "(secret)"

_USER_OF_URL = re.compile(r"://([^/@\s]+)@")
# What neither Python's nor Go's YAML takes for anything but a text. PyYAML itself quotes true, yes and null.
_PLAIN = re.compile(r"[A-Za-z/][^\n]+")


@dataclass(frozen=True)
class Current:
    """A configuration file as found: its bytes, and what they mean."""

    text: Optional[str] = field(default=None, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fault: str = ""

    @property
    def secret(self) -> Optional[str]:
        """The ``http.secret`` in it."""
        http = self.config.get("http")
        secret = http.get("secret") if isinstance(http, Mapping) else None
        return secret if isinstance(secret, str) and secret else None

    @property
    def checksum(self) -> Optional[str]:
        return None if self.text is None else checksum(self.text.encode("utf-8"))


def parse_file(text: Optional[str]) -> Current:
    """Read a configuration file; what cannot be parsed is told in *fault*."""
    if text is None:
        return Current()
    yaml = require("yaml")
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        return Current(text=text, fault=f"it is no YAML{place}")
    if config is None:
        config = {}
    if not isinstance(config, dict):
        return Current(text=text, fault="it is no mapping")
    return Current(text=text, config=config)


def check(config: object, major: int) -> Mapping[str, Any]:
    """The configuration, found right for the major version.

    :raises RegistryError: all that is wrong with it.
    """
    found = problems(config, major)
    if found or not isinstance(config, Mapping):
        raise RegistryError("config: " + " ".join(found))
    return config


def with_secret(config: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """The configuration with an ``http.secret``: its own, else the given one."""
    http = config.get("http") or {}
    return {**config, "http": {**http, "secret": http.get("secret") or secret}}


def render(config: Mapping[str, Any]) -> str:
    """The file's text: block style, keys in the order given.

    Go's YAML reads some bare words (``y``, ``1e3``) in another way than Python's, so every text that could be
    anything else is quoted.
    """
    yaml = require("yaml")

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

    def represent_text(dumper: Any, text: str) -> Any:
        style = None if _PLAIN.fullmatch(text) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_text)
    body = yaml.dump(
        config,
        Dumper=Dumper,
        default_flow_style=False,
        sort_keys=False,
        # Escaped, since YAML's own line breaks in a text (U+0085, U+2028) would be folded into spaces.
        allow_unicode=False,
        width=sys.maxsize,
    )
    return f"{HEADER}---\n{body}"


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def is_secret(path: str) -> bool:
    """Whether the value at a dotted path is never to be shown."""
    return any(fnmatch.fnmatchcase(path.lower(), pattern) for pattern in SECRET_PATHS)


def secret_values(config: object) -> set[str]:
    """The texts at secret paths and the user parts of URLs, for Ansible to mask wherever they turn up."""
    values = flatten(config)
    texts = {json.loads(value) for path, value in values.items() if is_secret(path)}
    users = {user for value in values.values() for user in _USER_OF_URL.findall(value)}
    return users | {text for text in texts if isinstance(text, str) and text}


def flatten(config: object) -> dict[str, str]:
    """Every value by its dotted path, as JSON; items of a list by their position from 0."""
    return dict(_leaves("", config))


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, (list, tuple)) and value:
        for position, item in enumerate(value):
            yield from _leaves(f"{path}.{position}", item)
    elif path:
        # A section without options is written both ways.
        yield path, "{}" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def shown(path: str, value: str) -> str:
    """A flattened value as a person may see it."""
    return MASK if is_secret(path) else _USER_OF_URL.sub(f"://{MASK}@", value)


def explain(current: Mapping[str, Any], desired: Mapping[str, Any]) -> list[str]:
    """Why a configuration has to change, by the dotted paths of its values; secrets masked."""
    before, after = flatten(current), flatten(desired)
    reasons = []
    for path in [*after, *(path for path in before if path not in after)]:
        if before.get(path) != after.get(path):
            old = shown(path, before[path]) if path in before else "not set"
            new = shown(path, after[path]) if path in after else "not set"
            reasons.append(f"{path}: {old}, wanted {new if new != old else 'another'}")
    return reasons


def describe(config: Mapping[str, Any], other: Optional[Mapping[str, Any]] = None) -> str:
    """A configuration for a diff: a line for each value; a masked one that differs from *other* is marked."""
    theirs = flatten(other) if other else {}
    lines = []
    for path, value in flatten(config).items():
        mark = ", another" if is_secret(path) and theirs.get(path, value) != value else ""
        lines.append(f"{path}: {shown(path, value)}{mark}\n")
    return "".join(lines)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_config: read, explain, write. Returns what the module does.

    :raises RegistryError: a configuration that the registry would not take, or a file that cannot be read.
    """
    if params["state"] == "absent":
        return _remove(params["path"], check_mode)
    # A garbage collection or backup for which the registry is read-only puts the former file back by itself.
    with alone(os.path.dirname(os.path.dirname(os.path.realpath(params["path"])))):
        return _provide(params, check_mode)


def _provide(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    path = params["path"]
    wanted = attributes_from(params)
    text = read_text(path)
    config = check(params["config"], params["major"])
    directory, directory_wanted = params["data_directory"], replace(wanted, mode=DATA_MODE)
    current = parse_file(text)
    if current.fault and not params["force"]:
        raise RegistryError(f"{path} cannot be parsed: {current.fault}. Mend or remove it, or overwrite it with force.")
    desired = with_secret(config, current.secret or secrets.token_hex(32))
    left_over = is_left_over(path)
    reasons = _explain_left_over(path, left_over=left_over) + _explain_file(path, current, desired)
    attribute_reasons = explain_attributes(path, wanted)
    directory_reasons = _explain_directory(directory, directory_wanted)
    content = render(desired).encode("utf-8")
    keeps_former = bool(params["backup"] and reasons and current.text is not None)
    if not check_mode:
        if directory is not None and directory_reasons:
            _provide_directory(directory, directory_wanted)
        if keeps_former and left_over:
            # What is in the file's place is none that anybody asked for.
            os.replace(path + WRITABLE_SUFFIX, path + BACKUP_SUFFIX)
        elif keeps_former:
            back_up(path)
        if reasons:
            write_file(path, content, wanted)
            remove_file(path + WRITABLE_SUFFIX)
        elif attribute_reasons:
            set_attributes(path, wanted)
    return {
        "changed": bool(directory_reasons or reasons or attribute_reasons),
        "reasons": directory_reasons + reasons + attribute_reasons,
        "checksum": _checksum_after(current, content, changed=bool(reasons), check_mode=check_mode),
        "backup_file": path + BACKUP_SUFFIX if keeps_former else None,
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": describe(current.config),
            "after": describe(desired, current.config),
        },
    }


def _explain_left_over(path: str, *, left_over: bool) -> list[str]:
    if not left_over:
        return []
    return [f"{path}{WRITABLE_SUFFIX}: is left over from a garbage collection or backup that was interrupted"]


def _explain_directory(path: Optional[str], wanted: Attributes) -> list[str]:
    if path is None:
        return []
    if not os.path.lexists(path):
        return [f"{path}: is not there"]
    if not os.path.isdir(path):
        raise RegistryError(f"data_directory: {path} is no directory; move it away or name another.")
    return explain_attributes(path, wanted)


def _provide_directory(path: str, wanted: Attributes) -> None:
    try:
        make_directory(path, wanted)
    except OSError as error:
        raise RegistryError(f"data_directory: {path} cannot be made: {error.strerror} ({error.filename}).") from error
    set_attributes(path, wanted)


def _explain_file(path: str, current: Current, desired: Mapping[str, Any]) -> list[str]:
    if current.text is None:
        return [f"{path}: is not there"]
    if current.fault:
        return [f"{path}: cannot be parsed, {current.fault}"]
    return explain(current.config, desired)


def _checksum_after(current: Current, content: bytes, *, changed: bool, check_mode: bool) -> Optional[str]:
    if not changed:
        return current.checksum
    return None if check_mode else checksum(content)


def _remove(path: str, check_mode: bool) -> dict[str, Any]:
    there = [file for file in (path, path + BACKUP_SUFFIX) if os.path.lexists(file)]
    if not check_mode:
        for file in there:
            remove_file(file)
    reasons = [f"{file}: is there, wanted absent" for file in there]
    return {"changed": bool(reasons), "reasons": reasons, "checksum": None, "backup_file": None}
