# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_config, judged by the registry itself, which reads what it wrote."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Client, Endpoint
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone
from ansible_collections.stronghold.registry.plugins.module_utils._registry_schema import problems

from .conftest import RunModule
from .registry import (
    HOST,
    LOOPBACK,
    Authority,
    RegistryFactory,
    authority,
    free_port,
    registry_binary,
    start_registry,
)

__all__ = ["authority", "registry_binary", "start_registry"]

CONFIG: dict[str, Any] = {
    "version": 0.1,
    "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}, "delete": {"enabled": True}},
    "http": {"addr": ":5000", "draintimeout": "20s"},
    "redis": {"addrs": ["redis:6379"], "password": "a hidden password"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "config.yml"


def test_the_former_file_is_kept(run_module: RunModule, path: Path) -> None:
    assert run_module("registry_config", path=str(path), config=CONFIG, mode="0400")["backup_file"] is None
    former, backup = path.read_bytes(), path.with_name("config.yml.bak")
    changed = {**CONFIG, "log": {"level": "debug"}}
    assert run_module("registry_config", path=str(path), config=changed, check=True)["backup_file"] == str(backup)
    assert not backup.exists()
    assert run_module("registry_config", path=str(path), config=changed)["backup_file"] == str(backup)
    assert (backup.read_bytes(), stat.S_IMODE(backup.stat().st_mode)) == (former, 0o400)
    assert run_module("registry_config", path=str(path), config=changed)["backup_file"] is None
    gone = run_module("registry_config", path=str(path), state="absent")
    assert gone["reasons"] == [f"{path}: is there, wanted absent", f"{backup}: is there, wanted absent"]
    assert not list(path.parent.iterdir())


def test_check_run_check_run(run_module: RunModule, path: Path) -> None:
    predicted = run_module("registry_config", path=str(path), config=CONFIG, check=True)
    assert not path.parent.exists()
    assert predicted["checksum"] is None
    done = run_module("registry_config", path=str(path), config=CONFIG)
    assert (predicted["changed"], done["changed"]) == (True, True)
    assert predicted["reasons"] == done["reasons"] == [f"{path}: is not there"]
    assert predicted["diff"] == done["diff"]
    content = path.read_bytes()
    written = yaml.safe_load(content)
    secret = written["http"].pop("secret")
    assert len(bytes.fromhex(secret)) == 32
    assert written == CONFIG
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for check in (True, False):
        settled = run_module("registry_config", path=str(path), config=CONFIG, check=check)
        assert (settled["changed"], settled["reasons"]) == (False, [])
        assert settled["checksum"] == done["checksum"] == hashlib.sha256(content).hexdigest()
    assert path.read_bytes() == content


def test_the_data_directory(run_module: RunModule, path: Path, tmp_path: Path) -> None:
    data = tmp_path / "srv" / "data"
    params: dict[str, Any] = {"path": str(path), "config": CONFIG, "data_directory": str(data)}
    announced = run_module("registry_config", check=True, **params)
    assert announced["reasons"][0] == f"{data}: is not there"
    assert not data.parent.exists()
    assert run_module("registry_config", **params)["reasons"] == announced["reasons"]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert run_module("registry_config", **params)["changed"] is False
    data.chmod(0o755)
    for check in (True, False):
        reopened = run_module("registry_config", check=check, **params)
        assert reopened["reasons"] == [f"{data}: mode is 0755, wanted 0700"]
    assert run_module("registry_config", **params)["changed"] is False
    run_module("registry_config", path=str(path), data_directory=str(data), state="absent")
    data.rmdir()
    data.touch()
    assert f"data_directory: {data} is no directory" in run_module("registry_config", fails=True, **params)["msg"]


def test_a_change_keeps_the_secret_and_tells_why(run_module: RunModule, path: Path) -> None:
    run_module("registry_config", path=str(path), config=CONFIG)
    secret = yaml.safe_load(path.read_text())["http"]["secret"]
    config = {**CONFIG, "storage": {**CONFIG["storage"], "delete": {"enabled": False}}}
    config["redis"] = {**CONFIG["redis"], "password": "another hidden password"}
    predicted = run_module("registry_config", path=str(path), config=config, check=True)
    done = run_module("registry_config", path=str(path), config=config)
    assert predicted["reasons"] == done["reasons"]
    assert done["reasons"] == [
        "storage.delete.enabled: true, wanted false",
        "redis.password: (secret), wanted another",
    ]
    assert predicted["checksum"] is None
    assert done["checksum"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert yaml.safe_load(path.read_text())["http"]["secret"] == secret
    for text in (json.dumps(predicted), json.dumps(done)):
        assert "hidden" not in text
        assert secret not in text
    assert "redis.password: (secret), another\n" in done["diff"]["after"]


def test_a_given_secret_wins_and_is_not_shown(run_module: RunModule, path: Path) -> None:
    run_module("registry_config", path=str(path), config=CONFIG)
    config = {**CONFIG, "http": {**CONFIG["http"], "secret": "the cluster's own"}}
    done = run_module("registry_config", path=str(path), config=config)
    assert done["reasons"] == ["http.secret: (secret), wanted another"]
    assert yaml.safe_load(path.read_text())["http"]["secret"] == "the cluster's own"
    assert "the cluster's own" not in json.dumps(done)


def test_order_and_notation_are_no_reason(run_module: RunModule, path: Path) -> None:
    run_module("registry_config", path=str(path), config=CONFIG)
    by_hand = json.dumps(dict(reversed(yaml.safe_load(path.read_text()).items())))
    path.write_text(by_hand)
    settled = run_module("registry_config", path=str(path), config=CONFIG)
    assert not settled["changed"]
    assert path.read_text() == by_hand


def test_only_the_mode_changes(run_module: RunModule, path: Path) -> None:
    before = run_module("registry_config", path=str(path), config=CONFIG)
    content = path.read_bytes()
    done = run_module("registry_config", path=str(path), config=CONFIG, mode="0640", group="65532")
    assert done["reasons"] == [f"{path}: group is 0, wanted 65532", f"{path}: mode is 0600, wanted 0640"]
    assert done["checksum"] == before["checksum"]
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", ["http: {secret: hidden", "- hidden", "hidden"])
def test_a_file_that_cannot_be_parsed(run_module: RunModule, path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    failed = run_module("registry_config", path=str(path), config=CONFIG, fails=True)
    assert f"{path} cannot be parsed" in failed["msg"]
    assert "hidden" not in failed["msg"]
    assert path.read_text() == content
    forced = run_module("registry_config", path=str(path), config=CONFIG, force=True)
    assert forced["reasons"][0].startswith(f"{path}: cannot be parsed")
    assert not run_module("registry_config", path=str(path), config=CONFIG)["changed"]


def test_wrong_configurations_change_nothing(run_module: RunModule, path: Path) -> None:
    config = {**CONFIG, "strage": {}, "http": {"addr": ":5000", "draintimeout": 20, "secret": "hidden"}}
    failed = run_module("registry_config", path=str(path), config=config, fails=True)
    assert "strage: no key of the registry; is 'storage' meant?" in failed["msg"]
    assert "http.draintimeout: has no unit" in failed["msg"]
    assert "hidden" not in json.dumps(failed)
    failed = run_module("registry_config", path=str(path), config=CONFIG, major=2, fails=True)
    assert "redis.addrs: the registry knows it from major version 3, this one is 2" in failed["msg"]
    assert "config" in run_module("registry_config", path=str(path), fails=True)["msg"]
    assert not path.parent.exists()


def test_absent(run_module: RunModule, path: Path) -> None:
    run_module("registry_config", path=str(path), config=CONFIG)
    for check in (True, False):
        assert path.exists()
        done = run_module("registry_config", path=str(path), state="absent", check=check)
        assert done["reasons"] == [f"{path}: is there, wanted absent"]
        assert done["checksum"] is None
    assert not path.exists()
    assert not run_module("registry_config", path=str(path), state="absent")["changed"]


# Sections for the real registry 2. {dir} and {port} are filled in; the files are made by the fixture.
TLS = {"certificate": "{dir}/leaf.crt", "key": "{dir}/leaf.key"}
STARTING: dict[str, dict[str, Any]] = {
    "log": {
        "log": {"level": "WARN", "formatter": "logstash", "fields": {"service": "lab"}, "accesslog": {"disabled": True}}
    },
    "log hooks": {
        "log": {"hooks": [{"type": "mail", "levels": ["panic"], "options": {"smtp": {"addr": "mail.test:25"}}}]}
    },
    "loglevel": {"loglevel": "error"},
    "inmemory": {"storage": {"inmemory": None}},
    "text that looks like a number": {
        "storage": {"filesystem": {"rootdirectory": "{dir}/1e3"}},
        "log": {"fields": {"y": "1e3"}},
    },
    "threads": {"storage": {"filesystem": {"rootdirectory": "{dir}/data", "maxthreads": 25}}},
    "s3": {
        "storage": {
            "s3": {
                "accesskey": "1e3",
                "secretkey": "y",
                "region": "us-east-1",
                "regionendpoint": "http://127.0.0.1:1",
                "bucket": "images",
                "secure": False,
                "v4auth": True,
                "chunksize": 5242880,
                "rootdirectory": "/",
            },
            "redirect": {"disable": True},
        }
    },
    "maintenance": {
        "storage": {
            "inmemory": {},
            "maintenance": {
                "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False},
                "readonly": {"enabled": True},
            },
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
        }
    },
    "purging off": {"storage": {"inmemory": {}, "maintenance": {"uploadpurging": {"enabled": False}}}},
    "redis": {
        "storage": {"inmemory": {}, "cache": {"blobdescriptor": "redis"}},
        "redis": {
            "addr": "127.0.0.1:1",
            "password": "x",
            "db": 1,
            "dialtimeout": "100ms",
            "readtimeout": "100ms",
            "writetimeout": "100ms",
            "pool": {"maxidle": 16, "maxactive": 64, "idletimeout": "300s"},
        },
    },
    "htpasswd": {"auth": {"htpasswd": {"realm": "lab", "path": "{dir}/htpasswd"}}},
    "token": {
        "auth": {
            "token": {
                "realm": "https://auth.test",
                "service": "s",
                "issuer": "i",
                "rootcertbundle": "{dir}/ca.crt",
                "autoredirect": False,
            }
        }
    },
    "silly": {"auth": {"silly": {"realm": "r", "service": "s"}}},
    "no auth": {"auth": {"none": None}},
    "http": {
        "http": {
            "net": "tcp",
            "host": "http://registry.test",
            "prefix": "/lab/",
            "relativeurls": True,
            "draintimeout": "1m30s",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
            "http2": {"disabled": True},
            "debug": {"addr": "127.0.0.1:0", "prometheus": {"enabled": True, "path": "/metrics"}},
        }
    },
    "tls": {"http": {"tls": {**TLS, "minimumtls": "tls1.3"}}},
    "tls 1.2": {
        "http": {"tls": {**TLS, "minimumtls": "tls1.2", "ciphersuites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]}}
    },
    "notifications": {
        "notifications": {
            "events": {"includereferences": True},
            "endpoints": [
                {
                    "name": "n",
                    "url": "http://127.0.0.1:1/",
                    "headers": {"Authorization": ["x"]},
                    "timeout": "1s",
                    "threshold": 3,
                    "backoff": "1s",
                    "disabled": False,
                    "ignoredmediatypes": ["a/b"],
                    "ignore": {"mediatypes": ["a/b"], "actions": ["pull"]},
                }
            ],
        }
    },
    "health": {
        "health": {
            "storagedriver": {"enabled": True, "interval": "10s", "threshold": 3},
            "file": [{"file": "/no/such/file", "interval": "10s"}],
            "tcp": [{"addr": "127.0.0.1:{port}", "timeout": "1s", "interval": "10s", "threshold": 9}],
            "http": [
                {
                    "uri": "http://127.0.0.1:{port}/",
                    "headers": {"A": ["b"]},
                    "statuscode": 200,
                    "interval": "10s",
                    "threshold": 9,
                }
            ],
        }
    },
    "middleware": {
        "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": "http://o.test"}, "disabled": False}]}
    },
    "validation": {
        "validation": {"disabled": False, "manifests": {"urls": {"allow": ["^https?://a.test/"], "deny": ["^http:"]}}}
    },
    "the rest": {
        "policy": {"repository": {"classes": ["image"]}},
        "catalog": {"maxentries": 10},
        "compatibility": {"schema1": {"enabled": False}},
        "reporting": {},
    },
}


def filled(config: Any, directory: Path, port: int) -> Any:
    text = json.dumps(config).replace("{dir}", str(directory)).replace("{port}", str(port))
    return json.loads(text)


@pytest.mark.parametrize("name", STARTING)
def test_the_registry_starts(
    name: str, start_registry: RegistryFactory, authority: Authority, command: Any, tmp_path: Path
) -> None:
    authority.sign("leaf", f"DNS:{HOST}")
    command("htpasswd", "-Bbc", tmp_path / "htpasswd", "moby", "gordon")
    port = free_port()
    sections = filled(STARTING[name], tmp_path, port)
    http = {"addr": f"{LOOPBACK}:{port}", **sections.pop("http", {})}
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "data")}}
    process = start_registry.start({"version": 0.1, "storage": storage, "http": http, **sections}, major=2)
    endpoint = Endpoint(HOST, port, tls="tls" in http, ca_certificate=authority.pem, address=LOOPBACK)
    assert Client(endpoint, timeout=20).reach("/").status == 200
    assert process.poll() is None


@pytest.mark.parametrize(
    "sections",
    [
        {"storage": {"inmemory": {}, "filesystem": {}}},
        {"storage": {"delete": {"enabled": True}}},
        {"storage": {"inmemory": {}, "redirect": {}}},
        {"storage": {"inmemory": {}, "maintenance": {"uploadpurging": {"enabled": True, "age": "1h"}}}},
        {"storage": {"inmemory": {}, "maintenance": {"readonly": None}}},
        {"storage": {"inmemory": {}, "cache": {"blobdescriptor": "redis"}}},
        {"storage": {"s3": {"bucket": "b"}}},
        {"auth": {"htpasswd": {"realm": "r"}}},
        {"auth": {"htpasswd": {"realm": "r", "path": "/p"}, "silly": {"realm": "r", "service": "s"}}},
        {"auth": {"token": {"realm": "r", "service": "s", "issuer": "i"}}},
        {"log": {"formatter": "xml"}},
        {"log": {"level": "trace"}},
        {"version": 0.2},
        {"http": {"addr": "127.0.0.1:0", "draintimeout": "20"}},
        {"http": {"addr": "127.0.0.1:0", "tls": {"certificate": "/c"}}},
    ],
)
def test_what_stops_the_registry_is_refused(registry_binary: Path, tmp_path: Path, sections: Any) -> None:
    config = {"version": 0.1, "storage": {"inmemory": {}}, "http": {"addr": "127.0.0.1:0"}, **sections}
    assert problems(config, 2)
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config))
    process = subprocess.run([registry_binary, "serve", path], capture_output=True, check=False, timeout=30, env={})
    assert process.returncode != 0


def test_what_an_interrupted_job_left_goes(run_module: RunModule, path: Path) -> None:
    wanted: dict[str, Any] = {"path": str(path), "config": CONFIG}
    run_module("registry_config", **wanted)
    left = path.with_name("config.yml.writable")
    left.write_bytes(path.read_bytes())
    announced = run_module("registry_config", check=True, **wanted)
    done = run_module("registry_config", **wanted)
    assert announced["reasons"] == done["reasons"]
    assert done["reasons"] == [f"{left}: is left over from a garbage collection or backup that was interrupted"]
    assert not left.exists()
    assert run_module("registry_config", **wanted)["changed"] is False


def test_a_job_that_goes_on_is_not_disturbed(run_module: RunModule, path: Path) -> None:
    wanted: dict[str, Any] = {"path": str(path), "config": CONFIG}
    run_module("registry_config", **wanted)
    left = path.with_name("config.yml.writable")
    left.write_bytes(path.read_bytes())
    path.write_text("read-only")
    with alone(str(path.parents[1])):
        refused = run_module("registry_config", fails=True, force=True, **wanted)
    assert "a garbage collection, backup or restore of this registry goes on" in refused["msg"]
    assert (path.read_text(), left.exists()) == ("read-only", True)
