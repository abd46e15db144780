# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credential helpers: programs that keep the passwords of a user's registries.

Their protocol is in credentials/credentials.go of docker/docker-credential-helpers: one word says what to do, stdin on
which registry, and stdout has the answer, or what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials

_TIMEOUT = 60.0
"""Seconds for one answer; before its first a helper may have to start an agent."""

_LONGEST = 64 * 1024
"""Bytes of an answer."""

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_NOT_FOUND = "credentials not found in native keychain"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SAID = 200
"""Characters that are shown of what a failing helper says."""


@dataclass(frozen=True)
class Helper:
    """The helper that a file of a user names. It runs with the user's rights alone, and within ``acting_as``."""

    name: str
    account: Account
    path: str

    def __str__(self) -> str:
        return f"docker-credential-{self.name}"

    def get(self, registry: str) -> Optional[Credentials]:
        """What it keeps for a registry, or None.

        :raises RegistryError: it cannot be run, or fails.
        """
        succeeded, answer = self._run("get", registry)
        if not succeeded and answer == _NOT_FOUND:
            return None
        if not succeeded:
            # One that fails after it answered has printed the password.
            raise self._failure("get", "" if "Secret" in answer else answer)
        try:
            kept = json.loads(answer)
            found = Credentials(str(kept["Username"]), str(kept["Secret"]))
        except (ValueError, LookupError, TypeError) as error:
            raise self._failure("get", "it answers without credentials") from error
        # Without any is how older helpers say that they keep none.
        return found if found.username or found.password else None

    def store(self, registry: str, credentials: Credentials) -> None:
        """Have it keep credentials for a registry, in place of others.

        :raises RegistryError: it cannot be run, or fails.
        """
        request = {"ServerURL": registry, "Username": credentials.username, "Secret": credentials.password}
        succeeded, answer = self._run("store", json.dumps(request))
        if not succeeded:
            told = any(secret in answer for secret in (credentials.password, json.dumps(credentials.password)[1:-1]))
            raise self._failure("store", "" if told else answer)

    def erase(self, registry: str) -> None:
        """Have it forget a registry; another file may have had it do so already, and it may fail without any.

        :raises RegistryError: it cannot be run, or fails.
        """
        if self.get(registry) is None:
            return
        succeeded, answer = self._run("erase", registry)
        if not succeeded:
            raise self._failure("erase", answer)

    def _run(self, action: str, text: str) -> tuple[bool, str]:
        """Whether it succeeded, and what it printed."""
        if not _NAME.fullmatch(self.name):
            raise RegistryError(f"{self.path}: '{self.name}' is no name of a credential helper; mend the file.")
        try:
            process = subprocess.Popen(
                [str(self), action],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.account.home,
                env=_environment(self.account),
                # Without a terminal nothing waits for somebody to type a passphrase.
                start_new_session=True,
                **_identity(self.account),
            )
        except OSError as error:
            raise self._failure(action, f"{error.strerror}; install it") from error
        late = threading.Event()
        with process, _killed_after(_TIMEOUT, process, late):
            answer = _converse(process, text.encode())
        if late.is_set():
            raise self._failure(action, f"no answer in {_TIMEOUT:.0f} seconds")
        if len(answer) > _LONGEST:
            raise self._failure(action, f"it answers more than {_LONGEST} bytes")
        return process.returncode == 0, answer.decode("utf-8", "replace").strip()

    def _failure(self, action: str, cause: str) -> RegistryError:
        said = f": {' '.join(cause[:_SAID].split())}" if cause else ""
        return RegistryError(
            f"{self.path}: the credential helper {self} of user '{self.account.name}' fails to {action} "
            f"credentials{said}. Mend it, or take it out of that file."
        )


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes], late: threading.Event) -> Iterator[None]:
    """Kill a program that has not ended in time, with all that it started, and say so."""

    def kill() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
        process.wait()
    finally:
        timer.cancel()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _converse(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    """What a program answers, or somewhat more than is read of one that goes on and on."""
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise ValueError("The program has no pipes to speak through.")
    with contextlib.suppress(BrokenPipeError), stdin:
        stdin.write(request)
    answer = stdout.read(_LONGEST + 1)
    if len(answer) > _LONGEST:
        _kill(process)
    return answer


def _identity(account: Account) -> dict[str, Any]:
    """What makes a program the user's for good: who only acts as the user could take root's rights back."""
    return {} if os.getuid() == account.uid else {"user": account.uid, "group": account.gid}


def _environment(account: Account) -> dict[str, str]:
    """A plain environment, with the programs in the directories that Debian's ~/.profile adds."""
    runtime = f"/run/user/{account.uid}"
    return {
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "PATH": f"{account.home}/.local/bin:{account.home}/bin:{_SYSTEM_PATH}",
        "LC_ALL": "C.UTF-8",
        # Where the user's agents and their session bus are, with a login or lingering.
        **({"XDG_RUNTIME_DIR": runtime} if os.path.isdir(runtime) else {}),
    }
