# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon.json: merging, taking away, explaining, and what a running engine needs."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _daemon_json as daemon_json
from ansible_collections.stronghold.registry.plugins.module_utils._docker_engine import Engine, parse_flags
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

LIST = "insecure-registries"

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=5)


def info(**changes: Any) -> dict[str, Any]:
    """What an engine without any setting says of itself, and *changes*."""
    registries = {
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128", *changes.pop("networks", [])],
        "IndexConfigs": {
            "docker.io": {"Secure": True},
            **{name: {"Secure": False} for name in changes.pop("insecure", [])},
        },
        "Mirrors": changes.pop("mirrors", None),
    }
    return {
        "RegistryConfig": registries,
        "Labels": None,
        "LiveRestoreEnabled": False,
        "Debug": False,
        **changes,
    }


@given(objects, objects)
def test_merging_twice_is_merging_once(current: dict[str, Any], config: dict[str, Any]) -> None:
    for replace_lists in (False, True):
        once = daemon_json.merged(current, config, replace_lists=replace_lists)
        assert daemon_json.same(daemon_json.merged(once, config, replace_lists=replace_lists), once)
        assert daemon_json.explain(once, once) == []


@given(objects, objects)
def test_removing_twice_is_removing_once(current: dict[str, Any], config: dict[str, Any]) -> None:
    once = daemon_json.removed(current, config)
    assert daemon_json.same(daemon_json.removed(once, config), once)


@given(objects, objects)
def test_keys_of_others_stay_in_value_and_order(current: dict[str, Any], config: dict[str, Any]) -> None:
    former = copy.deepcopy(current)
    foreign = [key for key in current if key not in config]
    for after in (daemon_json.merged(current, config), daemon_json.removed(current, config)):
        assert [key for key in after if key not in config] == foreign
        assert all(daemon_json.same(after[key], former[key]) for key in foreign)
    assert daemon_json.same(current, former)


@given(objects, objects)
def test_set_then_taken_away_is_as_before(current: dict[str, Any], config: dict[str, Any]) -> None:
    config = {key: value for key, value in config.items() if key not in current}
    assert daemon_json.same(daemon_json.removed(daemon_json.merged(current, config), config), current)


@given(st.lists(st.text(), unique=True), st.lists(st.text(), unique=True))
def test_items_set_then_taken_away_are_as_before(own: list[str], ours: list[str]) -> None:
    ours = [item for item in ours if item not in own]
    current = {LIST: own} if own else {}
    merged = daemon_json.merged(current, {LIST: ours})
    assert merged.get(LIST, []) == own + ours
    assert daemon_json.removed(merged, {LIST: ours}) == current


@given(objects)
def test_what_is_written_is_read_again(content: dict[str, Any]) -> None:
    text = daemon_json.render(content).decode("utf-8")
    parsed = daemon_json.parse(text, "daemon.json")
    assert daemon_json.same(parsed, content)
    assert parsed is not None
    assert list(parsed) == list(content)


@given(objects, objects)
def test_a_difference_has_a_reason_and_only_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert bool(daemon_json.explain(one, other)) is not daemon_json.same(one, other)


@pytest.mark.parametrize(
    ("current", "config", "after", "reasons"),
    [
        ({}, {"live-restore": True}, {"live-restore": True}, ["live-restore: true, was not set"]),
        ({"debug": 1}, {"debug": True}, {"debug": True}, ["debug: true, was 1"]),
        ({LIST: ["a:1"]}, {LIST: ["b:1", "a:1"]}, {LIST: ["a:1", "b:1"]}, [f"{LIST}: adds b:1"]),
        ({LIST: ["a:1", "a:1"]}, {LIST: ["a:1"]}, {LIST: ["a:1", "a:1"]}, []),
        ({}, {LIST: []}, {}, []),
        ({}, {"features": {}}, {}, []),
        ({LIST: "a:1"}, {LIST: ["b:1"]}, {LIST: ["b:1"]}, [f'{LIST}: ["b:1"], was a:1']),
        (
            {"log-opts": {"max-file": "3"}},
            {"log-opts": {"max-size": "10m"}},
            {"log-opts": {"max-file": "3", "max-size": "10m"}},
            ["log-opts.max-size: 10m, was not set"],
        ),
    ],
)
def test_merging(current: dict[str, Any], config: dict[str, Any], after: dict[str, Any], reasons: list[str]) -> None:
    merged = daemon_json.merged(current, config)
    assert daemon_json.same(merged, after)
    assert daemon_json.explain(current, merged) == reasons


def test_lists_are_replaced_when_asked() -> None:
    merged = daemon_json.merged({LIST: ["a:1", "b:1"]}, {LIST: ["b:1", "c:1"]}, replace_lists=True)
    assert merged == {LIST: ["b:1", "c:1"]}
    assert daemon_json.explain({LIST: ["a:1", "b:1"]}, merged) == [f"{LIST}: adds c:1; removes a:1"]
    assert daemon_json.explain({LIST: ["a", "b"]}, {LIST: ["b", "a"]}) == [f"{LIST}: other order"]


@pytest.mark.parametrize(
    ("current", "config", "after"),
    [
        ({"live-restore": True, "debug": True}, {"live-restore": False}, {"debug": True}),
        ({LIST: ["a:1", "b:1"]}, {LIST: ["a:1"]}, {LIST: ["b:1"]}),
        ({LIST: ["a:1"]}, {LIST: ["a:1"]}, {}),
        ({LIST: ["a:1"]}, {LIST: ["b:1"]}, {LIST: ["a:1"]}),
        ({LIST: []}, {LIST: ["b:1"]}, {}),
        ({LIST: ["a:1"]}, {LIST: None}, {}),
        ({"log-opts": {"a": "1", "b": "2"}}, {"log-opts": {"a": "x"}}, {"log-opts": {"b": "2"}}),
        ({"log-opts": {"a": "1"}}, {"log-opts": {"a": "1"}}, {}),
        ({"x": 1}, {"y": 1}, {"x": 1}),
    ],
)
def test_taking_away(current: dict[str, Any], config: dict[str, Any], after: dict[str, Any]) -> None:
    assert daemon_json.removed(current, config) == after


def test_a_list_is_taken_away_whole_when_asked() -> None:
    assert daemon_json.removed({LIST: ["a:1", "b:1"]}, {LIST: ["a:1"]}, replace_lists=True) == {}


@pytest.mark.parametrize(("text", "content"), [(None, None), ("", {}), (" \n", {}), ("{}", {}), ('{"a": 1}', {"a": 1})])
def test_parsing(text: str | None, content: dict[str, Any] | None) -> None:
    assert daemon_json.parse(text, "daemon.json") == content


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "in line 1, column 2"),
        ('{"a": 1,\n}', "not JSON"),
        ("[]", "a list"),
        ("1", "a number"),
        ("null", "null"),
        ("true", "a boolean"),
        ('{"a": Infinity}', "Infinity is no number"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_what_is_no_object_is_refused(text: str, told: str) -> None:
    with pytest.raises(RegistryError, match=r"^daemon\.json .*nothing was written\.$") as error:
        daemon_json.parse(text, "daemon.json")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"live-restore": "yes"}, "live-restore is a string; it must be true or false"),
        ({"debug": 1}, "debug is a number; it must be true or false"),
        ({"max-concurrent-uploads": "3"}, "it must be a whole number"),
        ({"mtu": True}, "it must be a whole number"),
        ({"data-root": ["/srv"]}, "data-root is a list; it must be a string"),
        ({"labels": "a=b"}, "it must be a list of strings"),
        ({"dns": [1]}, "it must be a list of strings"),
        ({"log-opts": ["max-size=1m"]}, "it must be an object"),
        ({"log-opts": {"max-file": 3}}, "no string, max-file"),
        ({"labels": ["site"]}, "'site', which is not of the form name=value"),
        ({LIST: ["http://registry.lab"]}, "has a scheme"),
        ({LIST: ["registry.lab/team"]}, "has a slash"),
        ({LIST: ["registry.lab:0"]}, "outside 1 to 65535"),
        ({LIST: ["10.0.0.0/33"]}, "has a slash"),
        ({"registry-mirrors": ["mirror.lab"]}, "no address of the form https://"),
        ({"registry-mirrors": ["https://u:s3cret@mirror.lab"]}, "https://***@mirror.lab"),
        ({"unknown": float("inf")}, "cannot be written as JSON"),
    ],
)
def test_wrong_values_are_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistryError, match=r"^config: ") as error:
        daemon_json.check_config(config)
    assert told in str(error.value)
    assert "s3cret" not in str(error.value)


def test_right_values_are_taken() -> None:
    daemon_json.check_config(
        {
            LIST: ["registry.lab:5000", "10.0.0.0/8", "[fd00::1]:5000"],
            "registry-mirrors": ["https://mirror.lab", "http://10.0.0.1:5000/"],
            "labels": ["a=b", "c="],
            "log-opts": {"max-file": "3"},
            "live-restore": True,
            "mtu": 1450,
            "unknown": {"any": [1, None]},
        }
    )


@pytest.mark.parametrize(
    ("flags", "config", "conflict"),
    [
        (["--insecure-registry", "a:1"], {LIST: ["b:1"]}, True),
        (["--insecure-registry", "a:1"], {"debug": True}, False),
        (["--http-proxy=http://u:s3cret@p"], {"proxies": {"http-proxy": "http://p"}}, True),
        (["--http-proxy=http://u:s3cret@p"], {"proxies": {"no-proxy": "lab"}}, False),
        (["--add-runtime", "a=b"], {"runtimes": {"c": {"path": "d"}}}, False),
    ],
)
def test_conflicts(flags: list[str], config: dict[str, Any], conflict: bool) -> None:
    engine = Engine(flags=parse_flags(flags, "DOCKER_OPTS in /etc/default/docker"))
    if not conflict:
        daemon_json.check_conflicts(config, engine)
        return
    with pytest.raises(RegistryError, match=f"{flags[0].split('=')[0]} by DOCKER_OPTS in /etc/default/docker") as error:
        daemon_json.check_conflicts(config, engine)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "told", "reload_required"),
    [
        ({LIST: ["a:1"]}, info(insecure=["a:1"]), False),
        ({LIST: ["a:1"]}, info(), True),
        ({LIST: []}, info(insecure=["a:1"]), True),
        ({LIST: ["10.1.2.3/8", "10.0.0.0/8"]}, info(networks=["10.0.0.0/8"]), False),
        ({"registry-mirrors": ["https://m"]}, info(mirrors=["https://m/"]), False),
        ({"registry-mirrors": ["https://m"]}, info(), True),
        ({"labels": ["a=b", "c=d"]}, info(Labels=["c=d", "a=b"]), False),
        ({"live-restore": True}, info(), True),
        ({"live-restore": False}, info(), False),
        ({"debug": True}, info(Debug=True), False),
        ({"debug": True}, {}, False),
        ({LIST: ["a:1"]}, {}, False),
    ],
)
def test_an_engine_that_lags_behind_the_file_is_to_be_reloaded(
    content: dict[str, Any], told: dict[str, Any], reload_required: bool
) -> None:
    needs = daemon_json.engine_needs(content, content, content, Engine(running=True, info=told))
    assert (needs.reload, needs.restart, bool(needs.reasons)) == (reload_required, False, reload_required)
    assert daemon_json.engine_needs(content, content, content, Engine()) == daemon_json.Needs()


@pytest.mark.parametrize(
    ("before", "after", "reload_required", "restart_required"),
    [
        ({}, {"max-concurrent-uploads": 2}, True, False),
        ({"max-concurrent-uploads": 2}, {}, True, False),
        ({}, {"shutdown-timeout": 2}, True, False),
        ({"shutdown-timeout": 2}, {}, False, True),
        ({}, {"log-driver": "local"}, False, True),
        ({"log-driver": "local"}, {}, False, True),
        ({"log-driver": "local"}, {"log-driver": "local"}, False, False),
        ({}, {LIST: ["a:1"]}, True, False),
        ({"features": {"a": True}}, {"features": {"a": False}}, True, False),
    ],
)
def test_an_engine_that_does_not_answer_is_judged_by_the_change(
    before: dict[str, Any], after: dict[str, Any], reload_required: bool, restart_required: bool
) -> None:
    needs = daemon_json.engine_needs(before, after, {**before, **after}, Engine(running=True))
    assert (needs.reload, needs.restart) == (reload_required, restart_required)


def planned(tmp_path: Path, content: object, engine: Engine, config: dict[str, Any]) -> daemon_json.Plan:
    path = tmp_path / "daemon.json"
    if content is not None:
        path.write_text(json.dumps(content))
    return daemon_json.plan(daemon_json.Request(path=str(path), unwanted=config), engine)


@pytest.mark.parametrize(
    ("content", "engine", "after"),
    [
        ({LIST: ["a:1"], "x": 1}, Engine(), {"x": 1}),
        ({LIST: ["a:1"]}, Engine(), None),
        ({LIST: ["a:1"], "x": 1}, Engine(running=True, info=info(insecure=["a:1"])), {LIST: [], "x": 1}),
        ({LIST: ["a:1"], "x": 1}, Engine(running=True, info=info()), {"x": 1}),
        ({LIST: ["a:1"], "x": 1}, Engine(running=True), {LIST: [], "x": 1}),
        ({LIST: ["a:1", "b:1"]}, Engine(running=True, info=info(insecure=["a:1", "b:1"])), {LIST: ["b:1"]}),
        ({"x": 1}, Engine(running=True, info=info(insecure=["a:1"])), {"x": 1, LIST: []}),
        ({"x": 1}, Engine(running=True, info=info(insecure=["other:1"])), {"x": 1}),
        (
            {"x": 1},
            Engine(running=True, info=info(insecure=["a:1"]), flags=parse_flags(["--insecure-registry=a:1"], "")),
            {"x": 1},
        ),
        ({}, Engine(), {}),
        (None, Engine(), None),
    ],
)
def test_a_key_stays_empty_as_long_as_a_running_engine_needs_it(
    tmp_path: Path, content: object, engine: Engine, after: dict[str, Any] | None
) -> None:
    made = planned(tmp_path, content, engine, {LIST: ["a:1"]})
    assert made.after == after
    assert made.changed is (content != after)
    assert bool(made.placeholders) is (after is not None and after.get(LIST) == [])
    assert made.needs.restart is False
    if after is not None:
        assert list(made.after or {}) == list(after)


def test_credentials_in_addresses_are_masked() -> None:
    value = {"proxies": {"http-proxy": "http://moby:s3c@ret@proxy:3128"}, "list": ["https://u@h/p@q"]}
    assert daemon_json.masked(value) == {
        "proxies": {"http-proxy": "http://***@proxy:3128"},
        "list": ["https://***@h/p@q"],
    }
    assert "s3c" not in str(daemon_json.explain({}, value))


def test_only_our_keys_are_selected() -> None:
    content = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}
    assert daemon_json.selected(content, {"b": {"d": 0}, "e": [], "f": 1}) == {"b": {"d": 2}, "e": [1]}
