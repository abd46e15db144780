# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP port of this host and who may come to it, in the host's own firewall. The logic of the module firewall_port.

Whatever else the firewall has is left alone, and none is installed, started or turned on.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    read_text,
    remove_file,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program

EVERYBODY = "everybody"
"""Who may come where no networks are named."""

_PORTS = range(1, 65536)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TABLE = re.compile(r"(?:inet|ip|ip6) [A-Za-z_][A-Za-z0-9_/.-]*")
_SECONDS = 60.0
"""How long a firewall's program may take, which waits for another one's lock."""


@dataclass(frozen=True)
class Present:
    """Who may come to a port now and after the next boot, and who in one of these ways at least."""

    surely: set[str]
    somehow: set[str]


class Firewall(Protocol):
    """One of the firewalls: who may come to the port, and a way to change that."""

    def present(self) -> Present: ...

    def change(self, added: Collection[str], removed: Collection[str]) -> None: ...


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module firewall_port: look, explain, change. Returns what the module does.

    :raises RegistryError: what is asked for makes no sense, or the firewall is not there or refuses.
    """
    port = params["port"]
    if port not in _PORTS:
        raise RegistryError(f"port: is {port}, wanted {_PORTS[0]} to {_PORTS[-1]}.")
    wanted = {_network(source) for source in params["sources"]} or {EVERYBODY}
    wanted = set() if params["state"] == "absent" else wanted
    if not wanted and find_program(_PROGRAMS[params["firewall"]]) is None:
        return {"changed": False, "reasons": []}
    firewall = FIREWALLS[params["firewall"]](params)
    present = firewall.present()
    reasons = explain(port, present, wanted)
    if reasons and not check_mode:
        firewall.change(sorted(wanted - present.surely), sorted(present.somehow - wanted))
    return {"changed": bool(reasons), "reasons": reasons}


def explain(port: int, present: Present, wanted: set[str]) -> list[str]:
    """Why the firewall has to be changed."""
    return [
        *(f"port {port}: is not open for {source}" for source in sorted(wanted - present.surely)),
        *(f"port {port}: is open for {source}, wanted closed" for source in sorted(present.somehow - wanted)),
    ]


def _network(source: str) -> str:
    try:
        network = ipaddress.ip_network(source)
    except ValueError as error:
        raise RegistryError(
            f"sources: '{source}' is no network ({error}); write one such as 192.0.2.0/24 or an address."
        ) from error
    if network.prefixlen == 0:
        raise RegistryError(f"sources: {source} is everybody; leave sources empty for that.")
    return str(network)


def _run(program: str, *arguments: str, stdin: str | None = None) -> str:
    path = find_program(program)
    if path is None:
        raise RegistryError(f"firewall: the program {program} is not on this host; install it, or name what is there.")
    command = [path, *arguments]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            # What is printed is read, in the words that the programs have of themselves.
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise RegistryError(
            f"firewall: {program} gave no word in {_SECONDS:.0f} seconds; see what it waits for."
        ) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RegistryError(f"firewall: {' '.join([program, *arguments])} failed: {said[-1] if said else 'silently'}.")
    return done.stdout


class Ufw:
    """The rules that let anybody come to exactly this port by TCP (ufw(8)). They may be there while ufw is not on."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._port, self._comment = params["port"], f"stronghold {params['name']}"

    def present(self) -> Present:
        found = parse_ufw(_run("ufw", "show", "added"), self._port)
        return Present(found, found)

    def change(self, added: Collection[str], removed: Collection[str]) -> None:
        for source in added:
            _run("ufw", *self._rule(source), "comment", self._comment)
        for source in removed:
            _run("ufw", "--force", "delete", *self._rule(source))

    def _rule(self, source: str) -> list[str]:
        came = "any" if source == EVERYBODY else source
        return ["allow", "proto", "tcp", "from", came, "to", "any", "port", str(self._port)]


_UFW_ADDED = re.compile(
    r"^ufw allow (?:(?P<plain>\d+)/tcp|from (?P<source>\S+) to any port (?P<port>\d+) proto tcp)(?: comment '.*')?$",
    re.MULTILINE,
)


def parse_ufw(added: str, port: int) -> set[str]:
    """Who may come to a port, in what ``ufw show added`` prints (src/frontend.py of ufw)."""
    found = set()
    for rule in _UFW_ADDED.finditer(added):
        if rule["plain"] == str(port):
            found.add(EVERYBODY)
        elif rule["port"] == str(port):
            found.add(str(ipaddress.ip_network(rule["source"], strict=False)))
    return found


class Firewalld:
    """What the default zone lets in to exactly this port by TCP, now and for good (firewall-cmd(1))."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._port = f"{params['port']}/tcp"
        self._number = params["port"]

    def present(self) -> Present:
        now, for_good = self._let_in(), self._let_in("--permanent")
        return Present(now & for_good, now | for_good)

    def _let_in(self, *how: str) -> set[str]:
        found = parse_rich_rules(_run("firewall-cmd", *how, "--list-rich-rules"), self._number)
        return found | ({EVERYBODY} if self._port in _run("firewall-cmd", *how, "--list-ports").split() else set())

    def change(self, added: Collection[str], removed: Collection[str]) -> None:
        for how in ([], ["--permanent"]):
            for source in added:
                _run("firewall-cmd", *how, self._option("add", source))
            for source in removed:
                _run("firewall-cmd", *how, self._option("remove", source))

    def _option(self, verb: str, source: str) -> str:
        if source == EVERYBODY:
            return f"--{verb}-port={self._port}"
        family = f"ipv{ipaddress.ip_network(source).version}"
        rule = f'rule family="{family}" source address="{source}" port port="{self._number}" protocol="tcp" accept'
        return f"--{verb}-rich-rule={rule}"


_RICH_RULE = re.compile(
    r'^rule family="ipv[46]" source address="(?P<source>[^"]+)" port port="(?P<port>\d+)" protocol="tcp" accept$',
    re.MULTILINE,
)


def parse_rich_rules(listed: str, port: int) -> set[str]:
    """Who may come to a port, in what ``firewall-cmd --list-rich-rules`` prints (firewalld.richlanguage(5))."""
    return {
        str(ipaddress.ip_network(rule["source"], strict=False))
        for rule in _RICH_RULE.finditer(listed)
        if rule["port"] == str(port)
    }


class Nftables:
    """Rules of our own at the head of a chain, which their comments mark, now and in a file that is read at boot.

    What containers publish passes the chain ``forward`` and not ``input``, after its address was translated.
    """

    DIRECTORY = "/etc/nftables.d"
    CONFIG = "/etc/nftables.conf"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._port, self._forwarded = params["port"], params["forwarded"]
        if not _NAME.fullmatch(params["name"]):
            raise RegistryError(f"name: '{params['name']}' cannot be a file's name and a rule's comment; use letters.")
        if not _TABLE.fullmatch(params["table"]):
            raise RegistryError(
                f"table: '{params['table']}' names no table; write a family and a name, as inet filter."
            )
        chain = "forward" if self._forwarded else "input"
        self._chain = f"{params['table']} {chain}"
        # A server and a balancer may share a host.
        self._mark = f"stronghold:{params['name']}:{self._port}:{chain}:"
        self._file = f"{self.DIRECTORY}/stronghold-{params['name']}-{self._port}-{chain}.nft"
        self._table, self._wanted = params["table"], params["state"] == "present"
        if self._wanted:
            self._check_included()

    def present(self) -> Present:
        now = {source for source, _handle in self._rules()}
        for_good = {source for source, _handle in parse_marks(read_text(self._file) or "", self._mark)}
        return Present(now & for_good, now | for_good)

    def _rules(self) -> list[tuple[str, str]]:
        # A table that went away took its rules with it.
        if not self._wanted and f"table {self._table}" not in _run("nft", "list", "tables").splitlines():
            return []
        return parse_marks(_run("nft", "--handle", "list", "chain", *self._chain.split()), self._mark)

    def change(self, added: Collection[str], removed: Collection[str]) -> None:
        rules = self._rules()
        sources = sorted((self.present().surely | set(added)) - set(removed))
        text = "".join(f"insert rule {self._chain} {self._rule(source)}\n" for source in sources)
        former = "".join(f"delete rule {self._chain} handle {handle}\n" for _source, handle in rules)
        # All at once: nobody is locked out meanwhile.
        _run("nft", "--file", "-", stdin=former + text)
        if text:
            os.makedirs(self.DIRECTORY, mode=0o755, exist_ok=True)
            write_file(self._file, text.encode("utf-8"), Attributes(mode=0o644))
        else:
            remove_file(self._file)

    def _check_included(self) -> None:
        line = f'include "{self.DIRECTORY}/*.nft"'
        if line not in [each.strip() for each in (read_text(self.CONFIG) or "").splitlines()]:
            raise RegistryError(
                f"firewall: {self.CONFIG} does not read {self.DIRECTORY}, so the port would be closed again at the "
                f"next boot; add the line {line} at its end."
            )

    def _rule(self, source: str) -> str:
        to = f"tcp dport {self._port}"
        if self._forwarded:
            # Only what a container publishes: others may use the port for something else.
            to = f"meta l4proto tcp ct status dnat ct original proto-dst {self._port}"
        came = "" if source == EVERYBODY else f"{'ip6' if ':' in source else 'ip'} saddr {source} "
        return f'{came}{to} accept comment "{self._mark}{source}"'


_COMMENT = re.compile(r'comment "(?P<comment>[^"]*)"(?: # handle (?P<handle>\d+))?')


def parse_marks(listed: str, mark: str) -> list[tuple[str, str]]:
    """What follows *mark* in the comments of rules, with their handles, as ``nft --handle list`` prints it (nft(8))."""
    return [
        (rule["comment"][len(mark) :], rule["handle"] or "")
        for rule in _COMMENT.finditer(listed)
        if rule["comment"].startswith(mark)
    ]


_PROGRAMS = {"ufw": "ufw", "firewalld": "firewall-cmd", "nftables": "nft"}
FIREWALLS: Mapping[str, Callable[[Mapping[str, Any]], Firewall]] = {
    "ufw": Ufw,
    "firewalld": Firewalld,
    "nftables": Nftables,
}
