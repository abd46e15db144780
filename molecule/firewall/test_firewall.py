# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalls of a server and of a balancer let in whom the variables name. A client on another host is the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, BALANCER, CLIENT = "firewall-server", "firewall-balancer", "firewall-client"
OTHERS = "192.0.2.0/24"

UFW = "apt-get -qq install -y ufw >/dev/null; ufw default deny incoming; ufw --force enable"
FIREWALLD = "apt-get -qq install -y firewalld >/dev/null; systemctl enable --now firewalld"
NFTABLES = """
apt-get -qq install -y nftables >/dev/null
cat >/etc/nftables.conf <<'END'
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
  }
}
END
"""
INCLUDE = """echo 'include "/etc/nftables.d/*.nft"' >>/etc/nftables.conf; systemctl enable nftables"""
OFF = {
    "ufw": "ufw --force disable",
    "firewalld": "systemctl disable --now firewalld",
    # Not the whole ruleset: the lab's own name server is reached by some of it.
    "nftables": "systemctl disable nftables; nft delete table inet filter",
}


def reaches(lab: Lab, host: str, *, fails: bool = False) -> None:
    lab.on(CLIENT, f"timeout 3 bash -c '</dev/tcp/{host}/5000'", fails=fails)


def address(lab: Lab, host: str) -> str:
    return lab.on(host, "hostname --ip-address").split()[0]


def test_a_registry_without_firewalls(lab: Lab) -> None:
    lab.play()
    for host in (SERVER, BALANCER):
        lab.on(host, "apt-get -qq update")
        reaches(lab, host)


@pytest.mark.parametrize(
    ("firewall", "setup"), [("ufw", UFW), ("firewalld", FIREWALLD), ("nftables", NFTABLES + INCLUDE + " --now")]
)
def test_a_balancer_lets_in_who_is_named(lab: Lab, firewall: str, setup: str) -> None:
    lab.on(BALANCER, setup)
    reaches(lab, BALANCER, fails=True)
    only = ("--limit", BALANCER)
    named: dict[str, Any] = {"registry_endpoint_firewall": firewall}
    lab.change(*only, registry_endpoint_firewall_sources=[address(lab, CLIENT), OTHERS], **named)
    reaches(lab, BALANCER)
    lab.play(*only, registry_endpoint_firewall_sources=[OTHERS], **named)
    reaches(lab, BALANCER, fails=True)
    lab.play(*only, **named)
    lab.reboot(BALANCER)
    reaches(lab, BALANCER)
    # Whatever else the firewall lets in stays as it was.
    lab.play(*only, playbook="teardown", **named)
    lab.on(BALANCER, "systemd-run --unit=listener python3 -m http.server 5000; sleep 1")
    reaches(lab, BALANCER, fails=True)
    lab.on(BALANCER, f"{OFF[firewall]}; sleep 1")
    reaches(lab, BALANCER)
    lab.on(BALANCER, "systemctl stop listener")
    lab.play(*only)


def test_a_server_lets_in_who_is_named(lab: Lab) -> None:
    """What Docker publishes can be closed by a chain of nftables alone; balancers have to be among those let in."""
    through = f"timeout 3 bash -c '</dev/tcp/{address(lab, SERVER)}/5000'"
    lab.on(BALANCER, through)
    lab.on(SERVER, NFTABLES)
    only = ("--limit", SERVER)
    named: dict[str, Any] = {"registry_endpoint_firewall": "nftables"}
    run = lab.play(*only, fails=True, **named)
    assert "does not read /etc/nftables.d" in " ".join(run.output.split())
    assert run.changes == ()
    lab.on(SERVER, f"{INCLUDE}; nft --file /etc/nftables.conf")
    reaches(lab, SERVER, fails=True)
    named["registry_endpoint_firewall_sources"] = [address(lab, BALANCER), OTHERS]
    lab.play(*only, **named)
    reaches(lab, SERVER, fails=True)
    lab.on(BALANCER, through)
    reaches(lab, BALANCER)
    assert lab.play(*only, **named).changes == ()
    # Before the balancer itself has noticed, so that the next server is not shut as well.
    named["registry_endpoint_firewall_sources"] = [address(lab, CLIENT), OTHERS]
    run = lab.play(*only, fails=True, **named)
    assert f"{BALANCER} find {SERVER} down" in " ".join(run.output.split())
    reaches(lab, SERVER)
    lab.on(BALANCER, through, fails=True)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"registry_endpoint_firewall": "ufw"}, "the program ufw is not on this host"),
        (
            {"registry_endpoint_firewall": "nftables", "registry_endpoint_firewall_sources": ["build"]},
            "sources: 'build'",
        ),
        ({"registry_endpoint_firewall": "nftables", "registry_endpoint_firewall_table": "filter"}, "table: 'filter'"),
    ],
)
def test_bad_input_is_refused(lab: Lab, variables: dict[str, Any], complaint: str) -> None:
    run = lab.play("--limit", SERVER, fails=True, **variables)
    assert complaint in " ".join(run.output.split())
    assert run.changes == ()
