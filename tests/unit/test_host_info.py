# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a port, in the words of the kernel and of the engine; real ones are in tests/modules/test_host_info.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._host_info import listening_inodes, publishers

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1388 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""
TABLE_6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr  ... inode
   0: 00000000000000000000000000000000:1388 00000000000000000000000000000000:0000 0A 0:0 00:00 0 0 0 4714 1 0
"""


@pytest.mark.parametrize(
    ("table", "port", "inodes"),
    [(TABLE, 5000, ["4711"]), (TABLE, 5001, ["4713"]), (TABLE, 5002, []), (TABLE_6, 5000, ["4714"]), ("", 5000, [])],
)
def test_sockets_that_listen(table: str, port: int, inodes: list[str]) -> None:
    assert listening_inodes(table, port) == inodes


@pytest.mark.parametrize(
    ("ports", "publishes"),
    [
        ([{"PrivatePort": 80, "PublicPort": 5000, "Type": "tcp"}], True),
        ([{"PrivatePort": 80, "PublicPort": 5000, "Type": "udp"}], False),
        ([{"PrivatePort": 5000, "Type": "tcp"}], False),
        ([], False),
        (None, False),
    ],
)
def test_containers_that_publish(ports: list[dict[str, Any]] | None, *, publishes: bool) -> None:
    found = publishers([{"Names": ["/web"], "Ports": ports}], 5000)
    assert found == (["web"] if publishes else [])
