# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with logins: config.json of Docker, auth.json of Podman, Buildah and Skopeo.

Their format is in cli/config of docker/cli and in containers-auth.json(5), and what their clients take as the same
registry in cli/config/credentials/file_store.go and in pkg/docker/config of containers/image.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils import _daemon_json
from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account
from ansible_collections.stronghold.registry.plugins.module_utils._credential_helper import Helper
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    explain_attributes,
    read_text,
    remove_file,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials

Object = dict[str, Any]

_TOKENS = ("identitytoken", "registrytoken")
_SECRETS = (*_TOKENS, "auth", "username", "password")
_PRIVATE = 0o600


@dataclass(frozen=True)
class Place:
    """A file of a user in which clients look for logins.

    Docker's may name a helper for all registries (*has_store*). A *transient* one is made by a login by hand and goes
    before the others; it is left alone unless it knows the registry.
    """

    account: Account
    path: str
    has_store: bool = False
    transient: bool = False


@dataclass(frozen=True)
class Current:
    """What a file says of a registry: its entries by their keys, the helper that keeps the password, and the login."""

    document: Object = field(repr=False)
    entries: Object = field(repr=False)
    helper: Optional[Helper] = None
    login: Optional[Credentials] = None

    def has(self, keys: tuple[str, ...]) -> bool:
        """Whether an entry has one of *keys*."""
        return any(key in entry for entry in self.entries.values() for key in keys)


@dataclass(frozen=True)
class Plan:
    """What has to be done to a file and why, what a diff shows of it, and whether it has the login in the end."""

    place: Place
    reasons: tuple[str, ...] = ()
    actions: tuple[Callable[[], object], ...] = field(default=(), repr=False)
    before: str = ""
    after: str = ""
    holds: bool = False


def means(key: str, registry: str) -> bool:
    """Whether a key of auths is that registry: its address, or a URL of it with any path.

    To Podman an address with a path and without a scheme is something else: a part of the registry.
    """
    scheme, separator, rest = key.partition("://")
    if separator:
        return scheme in {"http", "https"} and rest.split("/")[0] == registry
    return key.rstrip("/") == registry


def entries_of(document: Object, registry: str, path: str) -> Object:
    """The entries of a registry by their keys, first the one that clients prefer.

    :raises RegistryError: they or auths are no objects.
    """
    found = {
        key: _object(entry, f"{path}: the entry of {key}")
        for key, entry in _object(document.get("auths"), f"{path}: auths").items()
        if means(key, registry)
    }
    return dict(sorted(found.items(), key=lambda item: item[0] != registry))


def _object(value: object, what: str) -> Object:
    if value is not None and not isinstance(value, dict):
        raise RegistryError(f"{what} is no object. Mend or remove the file; nothing was written.")
    return value or {}


def with_entry(document: Object, registry: str, entry: Optional[Object]) -> Object:
    """The document with *entry* as the only one of a registry, or without any.

    All else stays, in its order, but an auths that is empty.
    """
    auths: Object = {}
    for key, value in (document.get("auths") or {}).items():
        if not means(key, registry):
            auths[key] = value
        elif entry is not None:
            auths[registry] = entry
    if entry is not None:
        auths[registry] = entry
    return {key: value for key, value in {**document, "auths": auths}.items() if key != "auths" or auths}


def encode_auth(login: Credentials) -> str:
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode("ascii")


def decode_auth(entry: Object) -> Optional[Credentials]:
    """The login in an entry; none where clients could not read one."""
    try:
        text = base64.b64decode(str(entry.get("auth", "")), validate=True).decode("utf-8")
    except ValueError:
        return None
    username, colon, password = text.partition(":")
    return Credentials(username, password) if colon and username else None


def helper_name(document: Object, registry: str, place: Place) -> str:
    """The helper that keeps the password of a registry; empty where it stands in the file itself.

    :raises RegistryError: what names one is of the wrong kind.
    """
    helpers = _object(document.get("credHelpers"), f"{place.path}: credHelpers")
    name = helpers.get(registry, document.get("credsStore") if place.has_store else None)
    if name is not None and not isinstance(name, str):
        raise RegistryError(f"{place.path}: the credential helper of {registry} is no string. Mend the file.")
    return name or ""


def read(place: Place, registry: str) -> Optional[Current]:
    """What a file says of a registry; None of a transient one that does not know it.

    :raises RegistryError: the file cannot be parsed or is closed to its user, or a helper fails.
    """
    document = _daemon_json.parse(_read_own(place), place.path) or {}
    entries = entries_of(document, registry, place.path)
    name = helper_name(document, registry, place)
    if place.transient and not entries and not name:
        return None
    if not name:
        return Current(document, entries, login=next(map(decode_auth, entries.values()), None))
    helper = Helper(name, place.account, place.path)
    return Current(document, entries, helper, helper.get(registry))


def _read_own(place: Place) -> Optional[str]:
    """The text of a user's file."""
    if os.path.exists(place.path) and not os.access(place.path, os.R_OK, effective_ids=True):
        raise RegistryError(
            f"{place.path} cannot be read by user '{place.account.name}'; give it to that user or remove it."
        )
    return read_text(place.path)


def explain(current: Current, registry: str, wanted: Credentials) -> list[str]:
    """Why a registry's login has to change, without the name of the file."""
    return _explain_login(current, registry, wanted) + _explain_entries(current, registry)


def _explain_login(current: Current, registry: str, wanted: Credentials) -> list[str]:
    if current.has(_TOKENS):
        return [f"logs in to {registry} with a token, wanted {wanted.username}'s password"]
    if current.login is None:
        return [f"user {wanted.username} is not logged in to {registry}"]
    if current.login.username != wanted.username:
        return [f"logs in to {registry} as {current.login.username}, wanted {wanted.username}"]
    if current.login.password != wanted.password:
        return [f"user {wanted.username} has another password for {registry}"]
    return []


def _explain_entries(current: Current, registry: str) -> list[str]:
    reasons = [f"names {registry} as {key}" for key in current.entries if key != registry]
    if current.helper and current.has(_SECRETS):
        reasons.append(f"shows a secret for {registry}, which is for {current.helper} to keep")
    if current.helper and current.login and not current.entries:
        reasons.append(f"does not name {registry}, whose password {current.helper} keeps")
    return reasons


def wanted_entry(current: Current, registry: str, wanted: Credentials) -> Object:
    """The entry of a registry; what is no secret in it stays."""
    replaced = _SECRETS if current.helper else _TOKENS
    kept = {key: value for key, value in current.entries.get(registry, {}).items() if key not in replaced}
    return kept if current.helper else {**kept, "auth": encode_auth(wanted)}


def plan_login(place: Place, registry: str, wanted: Credentials) -> Plan:
    """How the clients that read a file come to log in so.

    :raises RegistryError: as :func:`read`, or the file cannot be written.
    """
    current = read(place, registry)
    if current is None:
        return Plan(place)
    attributes = _attributes(place)
    mended = explain_attributes(place.path, Attributes(uid=attributes.uid, mode=attributes.mode))
    reasons = [f"{place.path}: {reason}" for reason in explain(current, registry, wanted)] + mended
    if not reasons:
        return Plan(place, holds=True)
    actions: list[Callable[[], object]] = []
    if current.helper and current.login != wanted:
        actions.append(partial(current.helper.store, registry, wanted))
    document = with_entry(current.document, registry, wanted_entry(current, registry, wanted))
    if mended or document != current.document:
        _check_writable(place)
        actions.append(partial(write_file, place.path, render(document), attributes))
    return Plan(
        place,
        tuple(reasons),
        tuple(actions),
        before=_describe(place, registry, current, wanted),
        after=f"{place.path}: {registry} as {wanted.username}\n",
        holds=True,
    )


def plan_logout(place: Place, registry: str) -> Plan:
    """How the clients that read a file come to forget a registry.

    :raises RegistryError: as :func:`plan_login`.
    """
    current = read(place, registry)
    if current is None or not (current.entries or current.login):
        return Plan(place)
    actions: list[Callable[[], object]] = []
    if current.helper and current.login:
        actions.append(partial(current.helper.erase, registry))
    if current.entries:
        _check_writable(place)
        actions.append(partial(_put_or_remove, place, with_entry(current.document, registry, None)))
    found = f"logs in to {registry} as {current.login.username}" if current.login else f"has an entry for {registry}"
    return Plan(
        place,
        (f"{place.path}: {found}, wanted absent",),
        tuple(actions),
        before=_describe(place, registry, current),
    )


def _describe(place: Place, registry: str, current: Current, wanted: Optional[Credentials] = None) -> str:
    """A login in a diff."""
    if current.has(_TOKENS):
        return f"{place.path}: {registry} with a token\n"
    if current.login is None:
        return ""
    same_user = wanted is not None and current.login.username == wanted.username
    other = ", with another password" if same_user and current.login != wanted else ""
    return f"{place.path}: {registry} as {current.login.username}{other}\n"


def _attributes(place: Place) -> Attributes:
    """A file of the user's own; one that is closed more than it must be stays so."""
    try:
        narrow = stat.S_IMODE(os.stat(place.path).st_mode) & ~_PRIVATE == 0
    except FileNotFoundError:
        narrow = False
    return Attributes(uid=place.account.uid, gid=place.account.gid, mode=None if narrow else _PRIVATE)


def _check_writable(place: Place) -> None:
    """Look before anything is written, so that none of several files is changed where one cannot be.

    :raises RegistryError: the directory that the file is in, or led to by a symbolic link, is closed to its user.
    """
    directory = os.path.dirname(os.path.realpath(place.path))
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise RegistryError(
            f"{place.path} cannot be written by user '{place.account.name}', to whom {directory} is closed."
        )


def _put_or_remove(place: Place, document: Object) -> None:
    """Write what is left in a file; where that is nothing, remove it, and its directory where it is empty."""
    # Without a link to it the file would stay where it is.
    if document or os.path.islink(place.path):
        write_file(place.path, render(document), _attributes(place))
        return
    remove_file(place.path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(place.path))


def render(document: Object) -> bytes:
    """A file as Docker and Podman write it, with tabs."""
    return (json.dumps(document, indent="\t", allow_nan=False) + "\n").encode("ascii")
