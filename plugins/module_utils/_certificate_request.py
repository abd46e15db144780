# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of the module certificate, checked. Needs no library, so a controller can check them beforehand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.stronghold.registry.plugins.module_utils._certificate import CA, SERVER, Template
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import (
    Name,
    Subject,
    parse_names,
    parse_subject,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import ARGUMENTS as FILE_ARGUMENTS
from ansible_collections.stronghold.registry.plugins.module_utils._private_key import (
    Kind,
    check_passphrase,
    parse_kind,
)

if TYPE_CHECKING:
    from typing import Any

DEFAULT_DAYS = 397
DEFAULT_RENEW_BEFORE = 30

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "privatekey_path": {"type": "path", "required": True},
    "privatekey_passphrase": {"type": "str", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "usage": {"type": "str", "choices": ["server", "ca"], "default": "server"},
    "ca_path": {"type": "path"},
    "ca_privatekey_path": {"type": "path"},
    "ca_privatekey_passphrase": {"type": "str", "no_log": True},
    "ca_content": {"type": "str"},
    "issued_content": {"type": "str"},
    "ca": {
        "type": "dict",
        "options": {
            "key_type": {"type": "str", "choices": ["ecdsa", "rsa"], "default": "ecdsa"},
            "key_size": {"type": "int"},
            "subject": {"type": "dict", "required": True},
            "days": {"type": "int", "default": 3650},
            "renew_before": {"type": "int", "default": 400},
        },
    },
    "ca_stays": {"type": "bool", "default": False},
    "key_type": {"type": "str", "choices": ["ecdsa", "rsa"], "default": "ecdsa"},
    "key_size": {"type": "int"},
    "subject": {"type": "dict", "default": {}},
    "names": {"type": "list", "elements": "str", "default": []},
    "days": {"type": "int", "default": DEFAULT_DAYS},
    "renew_before": {"type": "int", "default": DEFAULT_RENEW_BEFORE},
    "force": {"type": "bool", "default": False},
    "chain": {"type": "bool", "default": False},
    **FILE_ARGUMENTS,
    "mode": {"type": "raw", "default": "0644"},
    "privatekey_mode": {"type": "raw", "default": "0600", "no_log": False},
}
"""The module's argument spec."""

_MOST_DAYS = 36500
_CN_CHARACTERS = 64
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Request:
    """The key and the certificate as wanted. Without a CA the certificate is self-signed.

    Of a CA whose key is on another host there is *ca_content*, and in the end what it *issued*.
    """

    path: str
    privatekey_path: str
    kind: Kind
    template: Template
    renew_before: int
    passphrase: str | None = field(default=None, repr=False)
    ca_path: str = ""
    ca_privatekey_path: str = ""
    ca_passphrase: str | None = field(default=None, repr=False)
    ca_content: str = ""
    issued: str = ""
    force: bool = False
    chain: bool = False

    @property
    def has_ca(self) -> bool:
        return bool(self.ca_path or self.ca_content)


def parse_request(params: dict[str, Any]) -> Request:
    """Check the parameters of the module certificate. Nothing is read; cryptography is not needed.

    :raises RegistryError: which parameter is wrong and why; never a passphrase.
    """
    given = {key: value for key, value in params.items() if value is not None}
    for parameter in ("privatekey_passphrase", "ca_privatekey_passphrase"):
        check_passphrase(parameter, given.get(parameter))
    usage = given.get("usage", SERVER)
    days = _number("days", given.get("days", DEFAULT_DAYS), 1)
    request = Request(
        path=str(given.get("path", "")),
        privatekey_path=str(given.get("privatekey_path", "")),
        kind=_parse_kind(given),
        template=Template(
            usage=usage, names=_parse_names(usage, given), subject=_parse_subject(usage, given), days=days
        ),
        renew_before=_number("renew_before", given.get("renew_before", DEFAULT_RENEW_BEFORE), 0),
        passphrase=given.get("privatekey_passphrase"),
        ca_path=str(given.get("ca_path", "")),
        ca_privatekey_path=str(given.get("ca_privatekey_path", "")),
        ca_passphrase=given.get("ca_privatekey_passphrase"),
        ca_content=str(given.get("ca_content", "")),
        issued=str(given.get("issued_content", "")),
        force=bool(given.get("force", False)),
        chain=bool(given.get("chain", False)),
    )
    _check_together(request)
    return request


def _number(parameter: str, value: object, least: int) -> int:
    text = str(value)
    if isinstance(value, bool) or not _WHOLE_NUMBER.fullmatch(text):
        raise RegistryError(f"{parameter}: '{value}' is not a whole number.")
    number = int(text)
    if parameter != "key_size" and not least <= number <= _MOST_DAYS:
        raise RegistryError(f"{parameter} is {number}: give {least} to {_MOST_DAYS} days.")
    return number


def _parse_kind(given: dict[str, Any]) -> Kind:
    size = given.get("key_size")
    return parse_kind(given.get("key_type", "ecdsa"), None if size is None else _number("key_size", size, 0))


def _parse_names(usage: str, given: dict[str, Any]) -> tuple[Name, ...]:
    names = parse_names(given.get("names", []))
    if usage not in (SERVER, CA):
        raise RegistryError(f"usage: '{usage}' is neither {SERVER} nor {CA}.")
    if usage == CA and names:
        raise RegistryError("names: a CA has none; leave them out, or set usage to server.")
    if usage == SERVER and not names:
        raise RegistryError("names is empty: give the names and addresses of the server; clients look at nothing else.")
    return names


def _parse_subject(usage: str, given: dict[str, Any]) -> Subject:
    subject = parse_subject(given.get("subject", {}))
    if subject:
        return subject
    if usage == CA:
        raise RegistryError("subject is empty: a CA needs one, such as {CN: Registry CA}.")
    first = parse_names(given["names"])[0].value
    if len(first) > _CN_CHARACTERS:
        raise RegistryError(f"subject is empty, and '{first}' is too long to be its CN: give a subject.")
    return (("CN", first),)


def _check_together(request: Request) -> None:
    if request.renew_before >= request.template.days:
        raise RegistryError(
            f"renew_before is {request.renew_before} and days is {request.template.days}: "
            "a certificate would be renewed at every run; make renew_before smaller than days."
        )
    if bool(request.ca_path) != bool(request.ca_privatekey_path):
        missing = "ca_path" if not request.ca_path else "ca_privatekey_path"
        raise RegistryError(f"{missing} is missing: ca_path and ca_privatekey_path belong together.")
    given = "ca_path" if request.ca_path else "ca_content"
    if request.has_ca and request.template.usage == CA:
        raise RegistryError(f"{given}: a CA is self-signed here; leave {given} out, or set usage to server.")
    if request.ca_path and request.ca_content:
        raise RegistryError("ca_content: the CA is here, with ca_path, or on another host; leave one of them out.")
    if request.issued and not request.ca_content:
        raise RegistryError("issued_content: is for a CA on another host; give its certificate as ca_content.")
    if request.chain and not request.has_ca:
        raise RegistryError(
            "chain: a self-signed certificate has nothing to follow it; leave chain out or give ca_path."
        )
    paths = [request.path, request.privatekey_path, request.ca_path, request.ca_privatekey_path]
    named = [path for path in paths if path]
    if len(set(named)) != len(named):
        raise RegistryError("path, privatekey_path, ca_path and ca_privatekey_path must be different files.")
