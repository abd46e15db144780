# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a balancer says of its servers."""

from __future__ import annotations

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._haproxy import Server, parse_server

STATISTICS = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,\n"
)
PLACE = ("192.0.2.1", 5000)
STATES = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"


def states(**admin: int) -> str:
    return STATES + "".join(f"3 registry 1 {name} 192.0.2.1 2 {state} 1 5000\n" for name, state in admin.items()) + "\n"


def statistics(*rows: str) -> str:
    return STATISTICS + "\n".join(rows) + "\n\n"


def row(name: str, status: str, sessions: str = "0", backend: str = "registry") -> str:
    return f"{backend},{name},0,0,{sessions},1,,3,0,0,,0,,0,0,0,0,{status},1,"


@pytest.mark.parametrize(
    ("admin", "status", "server"),
    [
        (0, "UP", Server(*PLACE, drained=False, up=True, sessions=4)),
        (0, "UP 1/2", Server(*PLACE, drained=False, up=True, sessions=4)),
        (0, "DOWN", Server(*PLACE, drained=False, up=False, sessions=4)),
        (8, "DRAIN", Server(*PLACE, drained=True, up=False, sessions=4)),
        (8, "DOWN", Server(*PLACE, drained=True, up=False, sessions=4)),
        (16, "DRAIN", Server(*PLACE, drained=True, up=False, sessions=4)),
        (1, "MAINT", Server(*PLACE, drained=False, up=False, sessions=4)),
    ],
)
def test_status(admin: int, status: str, server: Server) -> None:
    told = statistics(row("one", "UP", "9"), row("two", status, "4"))
    assert parse_server(states(one=0, two=admin), told, "two") == server


def test_a_server_that_it_does_not_know() -> None:
    assert parse_server(states(one=0), statistics(row("one", "UP")), "two") is None
    assert parse_server(states(one=0), statistics(row("two", "UP", backend="another")), "two") is None
    assert parse_server("", "", "two") is None


def test_a_server_that_nobody_asked_for_anything() -> None:
    found = parse_server(states(one=0), statistics(row("one", "UP", "")), "one")
    assert found == Server(*PLACE, drained=False, up=True, sessions=0)
