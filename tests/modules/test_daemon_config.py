# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module daemon_config, judged by a dockerd that starts with its files and reloads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.tests.modules._dockerd import Dockerd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., dict[str, Any]]

OURS = {
    "insecure-registries": ["registry.lab:5000", "10.1.2.3/8"],
    "registry-mirrors": ["https://mirror.lab"],
    "labels": ["site=lab"],
    "live-restore": True,
    "log-opts": {"max-size": "10m"},
}
FOREIGN = {
    "max-concurrent-downloads": 7,
    "log-opts": {"max-file": "3"},
    "insecure-registries": ["old.lab:5000"],
}


@pytest.fixture
def dockerd() -> Iterator[Dockerd]:
    engine = Dockerd()
    yield engine
    engine.close()


@pytest.fixture
def configure(run_module: Run, dockerd: Dockerd) -> Run:
    """Run the module on the file and the socket of the throw-away engine."""

    def run(config: dict[str, Any], **params: Any) -> dict[str, Any]:
        return run_module(
            "daemon_config",
            path=str(dockerd.config),
            docker_socket=str(dockerd.socket),
            config=config,
            **params,
        )

    return run


def test_an_engine_starts_with_the_file_and_has_what_was_asked(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text(json.dumps(FOREIGN))
    result = configure(OURS)
    dockerd.start()
    info = dockerd.info()
    assert result["changed"]
    assert dockerd.insecure() == {"old.lab:5000", "registry.lab:5000", "10.0.0.0/8"}
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.lab/"]
    assert info["Labels"] == ["site=lab"]
    assert info["LiveRestoreEnabled"] is True
    again = configure(OURS)
    assert (again["changed"], again["reasons"], again["reload_required"]) == (False, [], False)


def test_a_reload_brings_what_was_asked(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text("{}")
    dockerd.start()
    asked = {key: value for key, value in OURS.items() if key != "log-opts"}
    result = configure(asked)
    assert (result["changed"], result["reload_required"], result["restart_required"]) == (True, True, False)
    dockerd.reload()
    assert dockerd.insecure() == {"registry.lab:5000", "10.0.0.0/8"}
    assert dockerd.info()["LiveRestoreEnabled"] is True
    again = configure(asked)
    assert (again["changed"], again["reload_required"]) == (False, False)


def test_a_reload_that_was_missed_is_noticed(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text("{}")
    dockerd.start()
    configure(OURS)
    again = configure(OURS)
    assert (again["changed"], again["reload_required"]) == (False, True)
    assert "insecure-registries: the running engine has another value than the file, reload it" in again["reasons"]
    dockerd.reload()
    assert configure(OURS)["reload_required"] is False


def test_a_restart_is_asked_for_what_a_reload_does_not_apply(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text("{}")
    dockerd.start()
    result = configure({"log-driver": "local"})
    assert (result["reload_required"], result["restart_required"]) == (False, True)
    dockerd.reload()
    assert dockerd.info()["LoggingDriver"] == "json-file"
    # As long as it is due.
    again = configure({"log-driver": "local"})
    assert (again["changed"], again["restart_required"]) == (False, True)
    assert again["reasons"] == ["log-driver: was changed after the running engine was started, restart it"]
    dockerd.stop()
    assert configure({"log-driver": "local"})["restart_required"] is False
    dockerd.start()
    assert dockerd.info()["LoggingDriver"] == "local"
    assert configure({"log-driver": "local"})["restart_required"] is False


def test_what_is_taken_away_is_gone_from_the_engine_after_one_reload(configure: Run, dockerd: Dockerd) -> None:
    config = {"insecure-registries": ["registry.lab:5000"], "live-restore": True, "labels": ["site=lab"]}
    configure(config)
    dockerd.start()
    result = configure(config, state="absent")
    assert (result["changed"], result["reload_required"], result["restart_required"]) == (True, True, False)
    assert sorted(result["placeholders"]) == sorted(config)
    assert json.loads(dockerd.config.read_text()) == {
        "insecure-registries": [],
        "live-restore": False,
        "labels": [],
    }
    assert configure(config, state="absent")["changed"] is False
    dockerd.reload()
    info = dockerd.info()
    assert (dockerd.insecure(), info["LiveRestoreEnabled"], info["Labels"]) == (set(), False, [])
    settled = configure(config, state="absent")
    assert (settled["changed"], settled["reload_required"], settled["placeholders"]) == (True, False, [])
    assert list(dockerd.config.parent.iterdir()) == []
    assert configure(config, state="absent")["changed"] is False


def test_a_value_that_an_engine_kept_though_its_key_is_gone_is_healed(configure: Run, dockerd: Dockerd) -> None:
    config = {"insecure-registries": ["registry.lab:5000"]}
    configure({**config, "max-concurrent-downloads": 7})
    dockerd.start()
    dockerd.config.write_text('{"max-concurrent-downloads": 7}')
    dockerd.reload()
    assert dockerd.insecure() == {"registry.lab:5000"}
    result = configure(config, state="absent")
    assert (result["changed"], result["reload_required"]) == (True, True)
    dockerd.reload()
    assert dockerd.insecure() == set()
    configure(config, state="absent")
    assert json.loads(dockerd.config.read_text()) == {"max-concurrent-downloads": 7}


@pytest.mark.parametrize(
    ("flags", "config", "told"),
    [
        (
            ["--insecure-registry=other.lab:5000"],
            {"insecure-registries": ["registry.lab:5000"]},
            "--insecure-registry",
        ),
        ([], {"hosts": ["unix:///run/other.sock"]}, "-H"),
        (["--log-opt", "max-size=1m"], {"log-opts": {"max-file": "3"}}, "--log-opt"),
    ],
)
def test_a_flag_of_the_running_engine_for_the_same_key_is_refused(
    configure: Run, dockerd: Dockerd, flags: list[str], config: dict[str, Any], told: str
) -> None:
    dockerd.config.write_text("{}")
    dockerd.start(*flags)
    message = configure(config, fails=True)["msg"]
    assert f"as the flag {told} by the running dockerd" in message
    assert f"config: {next(iter(config))} " in message
    assert dockerd.config.read_text() == "{}"
    dockerd.stop()
    dockerd.config.write_text(json.dumps(config))
    assert "both as a flag and in the configuration file" in dockerd.refuses_to_start(*flags)


def test_without_an_engine_nothing_is_required(configure: Run, dockerd: Dockerd) -> None:
    result = configure({"live-restore": True, "log-driver": "local"})
    assert (result["changed"], result["reload_required"], result["restart_required"]) == (True, False, False)
    assert dockerd.config.stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("before", [None, {}, FOREIGN, OURS])
def test_check_mode_predicts_exactly(
    configure: Run, dockerd: Dockerd, state: str, before: dict[str, Any] | None
) -> None:
    if before is not None:
        dockerd.config.write_text(json.dumps(before))
    predicted = configure(OURS, state=state, check=True)
    assert (json.loads(dockerd.config.read_text()) if dockerd.config.exists() else None) == before
    assert configure(OURS, state=state) == predicted


def test_check_mode_predicts_what_a_running_engine_needs(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text(json.dumps(FOREIGN))
    dockerd.start()
    for state in ("present", "absent"):
        predicted = configure(OURS, state=state, check=True)
        assert predicted["restart_required"]
        assert configure(OURS, state=state) == predicted
        dockerd.reload()


def test_everything_else_stays_in_its_place(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text('{"z": {"b": 1, "a": [1.5, null]}, "insecure-registries": ["old.lab:5000"], "a": "ü"}')
    dockerd.config.chmod(0o600)
    former = dockerd.config.read_bytes()
    result = configure({"insecure-registries": ["registry.lab:5000"], "debug": True}, dockerd="/bin/true")
    after = json.loads(dockerd.config.read_text())
    assert list(after) == ["z", "insecure-registries", "a", "debug"]
    assert (after["z"], list(after["z"]), after["a"]) == ({"b": 1, "a": [1.5, None]}, ["b", "a"], "ü")
    assert result["reasons"] == ["insecure-registries: adds registry.lab:5000", "debug: true, was not set"]
    assert result["keys"] == ["a", "debug", "insecure-registries", "z"]
    backup = dockerd.config.with_name("daemon.json.bak")
    assert result["backup_file"] == str(backup)
    assert backup.read_bytes() == former
    assert [path.stat().st_mode & 0o7777 for path in (backup, dockerd.config)] == [0o600, 0o600]


def test_one_backup_is_kept_and_only_a_change_makes_one(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text('{"debug": false}')
    assert configure({"debug": False})["backup_file"] is None
    configure({"debug": True})
    configure({"live-restore": True})
    names = sorted(path.name for path in dockerd.config.parent.iterdir())
    assert names == ["daemon.json", "daemon.json.bak"]
    assert json.loads(dockerd.config.with_name("daemon.json.bak").read_text()) == {"debug": True}


def test_formatting_is_no_change(configure: Run, dockerd: Dockerd) -> None:
    text = '\n{"live-restore":true , "log-opts":{"max-file":"3","max-size":"10m"}}'
    dockerd.config.write_text(text)
    result = configure({"log-opts": {"max-size": "10m", "max-file": "3"}, "live-restore": True})
    assert (result["changed"], dockerd.config.read_text()) == (False, text)


def test_mode_alone_is_mended(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text('{"debug": true}')
    result = configure({"debug": True}, mode="0640")
    assert (result["changed"], result["backup_file"]) == (True, None)
    assert dockerd.config.stat().st_mode & 0o7777 == 0o640


def test_a_file_that_was_there_keeps_its_own_keys_when_ours_go(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text(json.dumps(FOREIGN))
    configure(OURS)
    configure(OURS, state="absent")
    assert json.loads(dockerd.config.read_text()) == FOREIGN


def test_secrets_of_other_keys_are_not_shown(configure: Run, dockerd: Dockerd) -> None:
    dockerd.config.write_text('{"proxies": {"http-proxy": "http://moby:s3cret@proxy.lab:3128"}}')
    assert "s3cret" not in json.dumps(configure({"live-restore": True}))
    masked = configure({"proxies": {"http-proxy": "http://moby:other@proxy.lab:3128"}})
    masked.pop("invocation", None)
    assert "http://***@proxy.lab:3128" in masked["diff"]["before"]
    assert not {"s3cret", "other"} & set(json.dumps(masked).replace("@", ":").split(":"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"debug": true,\n  "labels": [}', "is not JSON: Expecting value in line 2, column 14"),
        (b'{"debug": NaN}', "is not JSON: NaN is no number"),
        (b"[]", "holds a list, not an object"),
        (b'"text"', "holds a string, not an object"),
        (b'{"labels": ["\xff"]}', "is not a text in UTF-8 (byte 13)"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_file_that_cannot_be_read_is_left_alone(
    configure: Run, dockerd: Dockerd, content: bytes, told: str, state: str
) -> None:
    dockerd.config.write_bytes(content)
    message = configure({"debug": True}, state=state, fails=True)["msg"]
    assert message.startswith(str(dockerd.config))
    assert told in message
    assert dockerd.config.read_bytes() == content


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"live-restore": "true"}, "live-restore is a string; it must be true or false"),
        ({"log-opts": {"max-file": 3}}, "log-opts has an option that is no string, max-file"),
        (
            {"insecure-registries": "registry.lab"},
            "insecure-registries is a string; it must be a list of strings",
        ),
    ],
)
def test_a_wrong_type_is_refused_as_dockerd_refuses_it(
    configure: Run, dockerd: Dockerd, config: dict[str, Any], told: str
) -> None:
    assert told in configure(config, fails=True)["msg"]
    assert not dockerd.config.exists()
    dockerd.config.write_text(json.dumps(config))
    assert "unable to configure the Docker daemon" in dockerd.refuses_to_start()


def test_a_link_is_followed_and_stays(configure: Run, dockerd: Dockerd, tmp_path: Path) -> None:
    target = tmp_path / "managed.json"
    target.write_text("{}")
    dockerd.config.symlink_to(target)
    configure({"debug": True})
    assert dockerd.config.is_symlink()
    assert json.loads(target.read_text()) == {"debug": True}
