# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry reports as garbage, and the file that remembers what was done."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _history
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._garbage_collect import explain, parse_report
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage
from ansible_collections.stronghold.registry.tests.unit.storage import Warehouse

GONE = "sha256:" + "0" * 64


def test_a_report_with_garbage(tmp_path: Path) -> None:
    blob = Warehouse(tmp_path).blob(b"garbage")["digest"]
    output = f"""team/app
team/app: marking manifest sha256:{"1" * 64}
manifest eligible for deletion: sha256:{"2" * 64}

1 blobs marked, 2 blobs and 1 manifests eligible for deletion
blob eligible for deletion: {blob}
blob eligible for deletion: {GONE}
"""
    garbage = parse_report(output, Storage(str(tmp_path)))
    assert (garbage.blobs, garbage.manifests, garbage.size) == ([blob, GONE], 1, 7)
    assert explain(garbage) == ["no image needs some blobs: 2, of 7 bytes"]


def test_a_report_of_version_3(tmp_path: Path) -> None:
    output = f"manifest eligible for deletion: {{team/app sha256:{'2' * 64} [1 2]}}\n"
    assert parse_report(output, Storage(str(tmp_path))).manifests == 1


def test_a_report_without_garbage(tmp_path: Path) -> None:
    output = "team/app\n\n3 blobs marked, 0 blobs and 0 manifests eligible for deletion\n"
    garbage = parse_report(output, Storage(str(tmp_path)))
    assert (garbage.blobs, garbage.manifests, garbage.size, explain(garbage)) == ([], 0, 0, [])


def test_a_report_that_leads_astray(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="reports as garbage what is none"):
        parse_report("blob eligible for deletion: ../../etc/passwd\n", Storage(str(tmp_path)))


def test_history(tmp_path: Path) -> None:
    path = str(tmp_path / "history.jsonl")
    assert _history.read(path) == []
    before = int(time.time())
    _history.add(path, "backup", archive="a")
    _history.add(path, "garbage_collect", blobs=1)
    _history.add(path, "backup", archive="b")
    events = _history.read(path)
    assert [event["event"] for event in events] == ["backup", "garbage_collect", "backup"]
    assert all(before <= event["time"] <= time.time() and event["disk"]["total"] > 0 for event in events)
    newest = _history.last(events, "backup")
    assert newest is not None
    assert newest["archive"] == "b"
    assert _history.last(events, "renew") is None
    assert (tmp_path / "history.jsonl").stat().st_mode & 0o777 == 0o600


def test_history_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps({"time": number, "event": "x"}) + "\n" for number in range(_history.LONGEST)))
    _history.add(str(path), "y")
    events = _history.read(str(path))
    assert (len(events), events[0]["time"], events[-1]["event"]) == (_history.LONGEST, 1, "y")


@pytest.mark.parametrize("text", ["garbage\n", "[]\n", '{"event": "x"}\n', '{"time": "never", "event": "x"}\n'])
def test_what_is_no_history(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(RegistryError, match="is no history of a registry; look at it and remove it"):
        _history.read(str(path))
    with pytest.raises(RegistryError, match="is no history"):
        _history.add(str(path), "x")
    assert path.read_text() == text
