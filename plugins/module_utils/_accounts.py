# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of this host, and acting with the rights of one.

A user's home is the user's: whoever writes there as root may be led elsewhere by a symbolic link.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError


@dataclass(frozen=True)
class Account:
    """A user of this host, as the password database has it."""

    name: str
    uid: int
    gid: int
    home: str


def find_account(name: str, parameter: str = "users") -> Account:
    """The account of that name.

    :raises RegistryError: there is none, or none that this process can act as.
    """
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise RegistryError(
            f"{parameter}: there is no user '{name}' on this host; create it or take it out of the list."
        ) from error
    if os.geteuid() not in (0, found.pw_uid):
        raise RegistryError(f"{parameter}: only root can act for user '{name}'; run this with become.")
    return Account(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid, home=found.pw_dir)


@contextlib.contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Read and write files with the rights of *account* alone. A program run meanwhile needs ``user=account.uid``,
    ``group=account.gid``, or could take back root's.
    """
    if os.geteuid() == account.uid:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.initgroups(account.name, account.gid)
        os.setegid(account.gid)
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


def check_home(account: Account, parameter: str = "users") -> None:
    """Whether the account has a home that it can read and write.

    :raises RegistryError: it has not.
    """
    with acting_as(account):
        usable = os.path.isdir(account.home) and os.access(
            account.home, os.R_OK | os.W_OK | os.X_OK, effective_ids=True
        )
    if not usable:
        raise RegistryError(
            f"{parameter}: the home of user '{account.name}', {account.home}, is not there or closed to the user; "
            "mend it or take the user out of the list."
        )


def find_users(names: Iterable[str]) -> list[Account]:
    """These users, each once, with homes that their files may lie in.

    :raises RegistryError: there is no such user, or the home is none.
    """
    accounts = [find_account(name) for name in dict.fromkeys(names)]
    for account in accounts:
        check_home(account)
    return accounts
