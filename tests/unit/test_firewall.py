# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalls print of who may come to a port; real ones are in the scenario firewall."""

from __future__ import annotations

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._firewall import (
    EVERYBODY,
    Present,
    explain,
    parse_marks,
    parse_rich_rules,
    parse_ufw,
)

ADDED = """\
Added user rules (see 'ufw status' for running firewall):
ufw allow 22/tcp
ufw allow 5000/tcp comment 'stronghold registry'
ufw allow from 192.0.2.0/24 to any port 5000 proto tcp comment 'stronghold registry'
ufw allow from 192.0.2.7 to any port 5000 proto tcp
ufw allow from fd00::/8 to any port 5000 proto tcp
ufw deny from 198.51.100.0/24 to any port 5000 proto tcp
ufw allow from 203.0.113.0/24 to any port 50000 proto tcp
ufw allow 5000/udp
ufw limit 5000/tcp
"""
RICH = """\
rule family="ipv4" source address="192.0.2.0/24" port port="5000" protocol="tcp" accept
rule family="ipv6" source address="fd00::/8" port port="5000" protocol="tcp" accept
rule family="ipv4" source address="198.51.100.0/24" port port="5000" protocol="tcp" drop
rule family="ipv4" source address="203.0.113.0/24" port port="50000" protocol="tcp" accept
rule family="ipv4" source address="203.0.113.0/24" service name="ssh" accept
"""
CHAIN = """\
table inet filter {
    chain input { # handle 1
        type filter hook input priority filter; policy drop;
        tcp dport 5000 accept comment "stronghold:registry:5000:input:everybody" # handle 9
        ip saddr 192.0.2.0/24 tcp dport 5000 accept comment "stronghold:registry:5000:input:192.0.2.0/24" # handle 8
        tcp dport 50000 accept comment "stronghold:registry:50000:input:everybody" # handle 7
        tcp dport 22 accept comment "ssh" # handle 6
        ct state established accept # handle 5
    }
}
"""


def test_rules_of_ufw() -> None:
    assert parse_ufw(ADDED, 5000) == {EVERYBODY, "192.0.2.0/24", "192.0.2.7/32", "fd00::/8"}
    assert parse_ufw(ADDED, 22) == {EVERYBODY}
    assert parse_ufw("Added user rules (see 'ufw status' for running firewall):\n(None)\n", 22) == set()


def test_rules_of_firewalld() -> None:
    assert parse_rich_rules(RICH, 5000) == {"192.0.2.0/24", "fd00::/8"}
    assert parse_rich_rules("", 5000) == set()


def test_rules_of_nftables() -> None:
    assert parse_marks(CHAIN, "stronghold:registry:5000:input:") == [(EVERYBODY, "9"), ("192.0.2.0/24", "8")]
    file = 'insert rule inet filter input tcp dport 5000 accept comment "stronghold:registry:5000:input:everybody"\n'
    assert parse_marks(file, "stronghold:registry:5000:input:") == [(EVERYBODY, "")]


@pytest.mark.parametrize(
    ("surely", "somehow", "wanted", "reasons"),
    [
        (set(), set(), {EVERYBODY}, ["port 5000: is not open for everybody"]),
        ({EVERYBODY}, {EVERYBODY}, {EVERYBODY}, []),
        # Until the next boot, or only from then on.
        (set(), {EVERYBODY}, {EVERYBODY}, ["port 5000: is not open for everybody"]),
        (set(), {EVERYBODY}, set(), ["port 5000: is open for everybody, wanted closed"]),
        (
            {EVERYBODY},
            {EVERYBODY},
            {"192.0.2.0/24"},
            ["port 5000: is not open for 192.0.2.0/24", "port 5000: is open for everybody, wanted closed"],
        ),
    ],
)
def test_reasons(surely: set[str], somehow: set[str], wanted: set[str], reasons: list[str]) -> None:
    assert explain(5000, Present(surely, somehow), wanted) == reasons
