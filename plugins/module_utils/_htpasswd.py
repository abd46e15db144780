# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User files of a registry: lines of ``name:bcrypt hash``, as Apache's htpasswd writes with -B.

What the registry accepts is in registry/auth/htpasswd/htpasswd.go of distribution: lines that begin with ``#`` and
blank ones are passed over, any other line without a colon is an error, and only bcrypt hashes ever match.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import remedy, require
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    attributes_from,
    explain_attributes,
    read_text,
    remove_file,
    set_attributes,
    write_file,
)

PASSWORD_BYTES = 72
"""bcrypt reads no further: a longer password would be cut silently by the server."""

_BCRYPT = re.compile(r"^\$2[abxy]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}$")
_COSTS = range(4, 32)
_NAME_BYTES = 255


@dataclass(frozen=True)
class User:
    """One user as wanted: by a password and the cost of its hash, by a ready hash, or not there at all."""

    name: str
    password: Optional[str] = field(default=None, repr=False)
    hash: Optional[str] = field(default=None, repr=False)
    cost: int = 10
    absent: bool = False


@dataclass(frozen=True)
class Line:
    """One line of a user file. Without a name it is a comment or blank."""

    text: str = field(repr=False)
    name: Optional[str] = None

    @property
    def hash(self) -> str:
        return self.text.split(":", 1)[1] if self.name is not None else ""

    @property
    def cost(self) -> Optional[int]:
        """The bcrypt cost, or None for any other scheme."""
        return bcrypt_cost(self.hash)


def bcrypt_cost(text: str) -> Optional[int]:
    """The cost of a bcrypt hash (2 to the power of it rounds), or None where the text is no such hash."""
    match = _BCRYPT.match(text)
    if match is None or int(match["cost"]) not in _COSTS:
        return None
    return int(match["cost"])


def parse_users(users: object, default_cost: int) -> tuple[User, ...]:
    """Check a list of ``{name, password | hash, cost, state}``.

    :raises RegistryError: which user is wrong and why; never a password.
    """
    if not isinstance(users, (list, tuple)):
        raise RegistryError("users must be a list of entries such as {name: moby, password: ...}.")
    if default_cost not in _COSTS:
        raise RegistryError(f"cost is {default_cost}: give a number from {_COSTS[0]} to {_COSTS[-1]}.")
    parsed = tuple(_parse_user(position, user, default_cost) for position, user in enumerate(users, start=1))
    for name, count in Counter(user.name for user in parsed).items():
        if count > 1:
            raise RegistryError(f"users: '{name}' is listed more than once; keep one entry.")
    return parsed


def _parse_user(position: int, user: object, default_cost: int) -> User:
    if not isinstance(user, dict):
        raise RegistryError(f"users: entry {position} is not a mapping; write it as {{name: ..., password: ...}}.")
    given = {key: value for key, value in user.items() if value is not None}
    unknown = sorted(set(given) - {"name", "password", "hash", "cost", "state"})
    if unknown:
        raise RegistryError(
            f"users: entry {position} has the unknown key '{unknown[0]}'; "
            "an entry takes name, password or hash, cost and state."
        )
    name = str(given.get("name", ""))
    _check_name(position, name)
    if given.get("state", "present") not in ("present", "absent"):
        raise RegistryError(f"users: the state of '{name}' is neither present nor absent.")
    if given.get("state") == "absent":
        return User(name=name, absent=True)
    return _parse_credential(name, given, default_cost)


def _parse_credential(name: str, given: dict[str, Any], default_cost: int) -> User:
    password, ready = given.get("password"), given.get("hash")
    if (password is None or password == "") and not ready:
        raise RegistryError(f"users: '{name}' has no password; give it a password, or a bcrypt hash as hash.")
    if ready:
        if password is not None or "cost" in given:
            raise RegistryError(f"users: '{name}' has a hash, which already fixes password and cost; drop these.")
        if bcrypt_cost(str(ready)) is None:
            raise RegistryError(
                f"users: the hash of '{name}' is not bcrypt, which is all that a registry accepts; "
                "make one with 'htpasswd -nB'."
            )
        return User(name=name, hash=str(ready))
    password = str(password)
    _check_password(name, password)
    try:
        cost = int(given.get("cost", default_cost))
    except (TypeError, ValueError):
        cost = -1
    if cost not in _COSTS:
        raise RegistryError(f"users: the cost of '{name}' is not a number from {_COSTS[0]} to {_COSTS[-1]}.")
    return User(name=name, password=password, cost=cost)


def _check_name(position: int, name: str) -> None:
    problem = ""
    if not name:
        problem = "has no name"
    elif ":" in name:
        problem = "has a colon in its name, which separates name and hash"
    elif _has_control(name):
        problem = "has a control character in its name"
    elif name != name.strip() or name.startswith("#"):
        problem = "has a name with white space at an end or '#' in front, which the registry reads otherwise"
    elif len(name.encode("utf-8")) > _NAME_BYTES:
        problem = "has a name of more than 255 bytes"
    if problem:
        raise RegistryError(f"users: entry {position} {problem}; choose another name.")


def _check_password(name: str, password: str) -> None:
    size = len(password.encode("utf-8"))
    if size > PASSWORD_BYTES:
        raise RegistryError(
            f"users: the password of '{name}' has {size} bytes; bcrypt reads {PASSWORD_BYTES}, choose a shorter one."
        )
    if _has_control(password):
        # RFC 7617, section 2: no control characters. Most often a line feed that a file lookup brought along.
        raise RegistryError(f"users: the password of '{name}' has a control character, such as a line feed; remove it.")


def _has_control(text: str) -> bool:
    return any(character < " " or character == "\x7f" for character in text)


def parse_file(text: str, path: str) -> tuple[Line, ...]:
    """Split a user file into lines.

    :raises RegistryError: a line that the registry would stumble over: every request would be answered 400.
    """
    lines = []
    # Names may hold what Python takes for the end of a line as well.
    texts = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate((each.removesuffix("\r") for each in texts), start=1):
        stripped = line.strip()
        name, colon, _rest = stripped.partition(":")
        if not stripped or stripped.startswith("#"):
            lines.append(Line(text=line))
        elif colon and name:
            lines.append(Line(text=stripped, name=name))
        else:
            raise RegistryError(f"{path}: line {number} is not an entry of the form name:hash; mend or remove it.")
    return tuple(lines)


def foreign_lines(lines: Sequence[Line]) -> list[str]:
    """What a file holds besides bcrypt entries and blank lines, in words."""
    foreign = []
    for number, line in enumerate(lines, start=1):
        if line.name is None and line.text.strip():
            foreign.append(f"line {number}: comment")
        elif line.name is not None and line.cost is None:
            foreign.append(f"line {number}: user {line.name} is not bcrypt, the registry will refuse this user")
    return foreign


def explain(current: Sequence[Line], desired: Sequence[User], purge: bool) -> dict[str, str]:
    """Why each user has to change, by name. A password is verified against the hash that is there, on all cores."""
    # Of several lines for one user the registry takes the last.
    known = {line.name: line for line in current if line.name is not None}
    counts = Counter(line.name for line in current)
    listed = {user.name for user in desired}
    reasons = {name: "listed more than once" for name in known if counts[name] > 1}
    with _pool() as pool:
        found = pool.map(lambda user: _explain_user(known.get(user.name), user), desired)
        reasons.update({user.name: reason for user, reason in zip(desired, found) if reason})
    if purge:
        reasons.update({name: "removed, not among the users" for name in known if name not in listed})
    return reasons


def _explain_user(line: Optional[Line], user: User) -> str:
    reason = ""
    if user.absent:
        reason = "removed" if line is not None else ""
    elif line is None:
        reason = "added"
    elif line.cost is None:
        reason = "not bcrypt"
    elif user.hash is not None:
        reason = "another hash" if line.hash != user.hash else ""
    elif line.cost != user.cost:
        reason = f"cost {line.cost}, wanted {user.cost}"
    elif not _verify(user.password or "", line.hash):
        reason = "another password"
    return reason


def updated_lines(
    current: Sequence[Line], desired: Sequence[User], reasons: dict[str, str], purge: bool
) -> tuple[Line, ...]:
    """The lines of the new file: those without a reason as they are, changed ones in their place, new ones last."""
    listed = {user.name: user for user in desired if not user.absent}
    changed = [user for user in listed.values() if user.name in reasons]
    with _pool() as pool:
        fresh = dict(zip((user.name for user in changed), pool.map(_entry, changed)))
    last = {line.name: line for line in current}
    removed = {user.name for user in desired if user.absent}
    lines = []
    for line in current:
        if line.name is None:
            lines.append(line)
        elif line.name in removed or (purge and line.name not in listed) or line is not last[line.name]:
            continue
        else:
            lines.append(fresh.pop(line.name, line))
    return (*lines, *fresh.values())


def render(lines: Sequence[Line]) -> str:
    return "".join(f"{line.text}\n" for line in lines)


def describe(lines: Sequence[Line], reasons: Optional[dict[str, str]] = None) -> str:
    """A user file without its secrets, for a diff: each user with scheme and cost, and why it changed."""
    described = []
    for line in lines:
        if line.name is not None:
            scheme = "another scheme" if line.cost is None else f"bcrypt, cost {line.cost}"
            reason = f" ({reasons[line.name]})" if reasons and line.name in reasons else ""
            described.append(f"{line.name}: {scheme}{reason}\n")
    return "".join(described)


def preview_lines(
    current: Sequence[Line], desired: Sequence[User], reasons: dict[str, str], purge: bool
) -> tuple[Line, ...]:
    """As :func:`updated_lines`, for check mode: nothing is hashed, a new hash is a placeholder of the right cost."""
    placeholders = [
        user if user.absent or user.hash else User(name=user.name, hash=f"$2y${user.cost:02d}$" + "." * 53)
        for user in desired
    ]
    return updated_lines(current, placeholders, reasons, purge)


def _entry(user: User) -> Line:
    hashed = user.hash or _bcrypt().using(rounds=user.cost, ident="2y").hash(user.password)
    return Line(text=f"{user.name}:{hashed}", name=user.name)


def _verify(password: str, hashed: str) -> bool:
    try:
        return bool(_bcrypt().verify(password, hashed))
    except ValueError:
        # A variant ($2x$) or salt that passlib refuses: a fresh hash is the cure.
        return False


def _pool() -> ThreadPoolExecutor:
    # bcrypt releases the interpreter's lock, so threads use every core.
    return ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)))


def _bcrypt() -> Any:
    return require("passlib.hash").bcrypt


def check_backend() -> None:
    """Prove with a trial hash that passlib and bcrypt work together here, since their versions alone do not tell.

    :raises RegistryError: they do not; the message says what to install.
    """
    # passlib 1.7.4 logs a harmless traceback when it looks for the version of bcrypt 4.1 or newer.
    logging.getLogger("passlib").setLevel(logging.ERROR)
    handler = _bcrypt()
    try:
        handler.using(rounds=4).hash("trial")
    except Exception as error:
        # Whatever the two libraries raise at each other (AttributeError, ValueError, MissingBackendError).
        raise RegistryError(
            f"bcrypt does not work with the passlib found here ({error}): {remedy('bcrypt')}; "
            "passlib 1.7.4 goes with bcrypt below 5, libpass 1.9.3 or newer with any."
        ) from error


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module htpasswd: read, explain, write. Returns what the module does.

    :raises RegistryError: wrong parameters, a file that is no user file, or a library that is missing.
    """
    path = params["path"]
    wanted = attributes_from(params)
    desired = parse_users(params["users"], params["cost"])
    text = read_text(path)
    if params["state"] == "absent":
        return _remove(path, text, check_mode)
    current = parse_file(text or "", path)
    if any(not user.absent for user in desired):
        check_backend()
    changes = explain(current, desired, params["purge"])
    reasons = [f"user {name}: {reason}" for name, reason in changes.items()]
    if text is None:
        reasons.insert(0, f"{path}: is not there")
    attribute_reasons = explain_attributes(path, wanted)
    lines = current
    if reasons:
        build = preview_lines if check_mode else updated_lines
        lines = build(current, desired, changes, params["purge"])
    if not check_mode:
        if reasons:
            write_file(path, render(lines).encode("utf-8"), wanted)
        elif attribute_reasons:
            set_attributes(path, wanted)
    return {
        "changed": bool(reasons or attribute_reasons),
        "reasons": reasons + attribute_reasons,
        "users": sorted(line.name for line in lines if line.name is not None),
        "foreign": foreign_lines(lines),
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": describe(current),
            "after": describe(lines, changes),
        },
    }


def _remove(path: str, text: Optional[str], check_mode: bool) -> dict[str, Any]:
    if text is not None and not check_mode:
        remove_file(path)
    reasons = [] if text is None else [f"{path}: is there, wanted absent"]
    return {"changed": bool(reasons), "reasons": reasons, "users": [], "foreign": []}
