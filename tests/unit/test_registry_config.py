# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations: what is right, how they are rendered and compared, and what is never shown."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.stronghold.registry.plugins.filter.config_problems import FilterModule, config_problems
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_config import (
    HEADER,
    MASK,
    check,
    describe,
    explain,
    flatten,
    is_secret,
    parse_file,
    render,
    secret_values,
    with_secret,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_schema import MAJORS, problems
from hypothesis import given
from hypothesis import strategies as st

BASE: dict[str, Any] = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": "/data"}}}
S3 = {"bucket": "images", "region": "eu-west-1"}
TOKEN = {"realm": "https://auth.test/token", "service": "registry", "issuer": "auth"}
PURGING = {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}


def changed(path: str, value: object) -> dict[str, Any]:
    """The base configuration with one value set at a dotted path."""
    config = copy.deepcopy(BASE)
    *sections, key = path.split(".")
    at = config
    for section in sections:
        at = at.setdefault(section, {})
    at[key] = value
    return config


RIGHT_IN_BOTH = [
    ("version", "0.1"),
    ("log", {"level": "INFO", "formatter": "json", "fields": {"a": 1, "b": "x"}, "accesslog": {"disabled": True}}),
    ("log.hooks", [{"type": "mail", "levels": ["panic"], "options": {"smtp": {"addr": "a:25"}, "to": ["x"]}}]),
    ("loglevel", "warn"),
    ("storage", {"inmemory": None}),
    ("storage", {"inmemory": {}, "redirect": {"disable": True}, "cache": {"layerinfo": "inmemory"}}),
    ("storage", {"s3": {**S3, "regionendpoint": "https://s3.test", "secure": True, "chunksize": 5242880}}),
    ("storage", {"azure": {"accountname": "a", "accountkey": "b", "container": "c"}}),
    ("storage", {"gcs": {"bucket": "b", "credentials": {"type": "service_account", "private_key": "k"}}}),
    ("storage.filesystem.maxthreads", 100),
    ("storage.maintenance.uploadpurging", PURGING),
    ("storage.maintenance.uploadpurging", {"enabled": False}),
    ("storage.maintenance.readonly", {"enabled": False}),
    ("storage.delete", {"enabled": True}),
    ("auth", {"htpasswd": {"realm": "r", "path": "/auth/htpasswd"}}),
    ("auth", {"token": {**TOKEN, "rootcertbundle": "/b", "autoredirect": False}}),
    ("auth", {"silly": {"realm": "r", "service": "s"}}),
    ("auth", {"none": None}),
    ("middleware.storage", [{"name": "cloudfront", "options": {"baseurl": "x", "anything": [1, {"a": None}]}}]),
    ("http", {"addr": ":5000", "net": "tcp", "host": "https://r.test", "prefix": "/r/", "draintimeout": "1m30s"}),
    ("http.prefix", "/"),
    ("http.tls", {"certificate": "/c", "key": "/k", "clientcas": ["/ca"], "minimumtls": "tls1.3"}),
    ("http.tls.ciphersuites", ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]),
    ("http.tls.letsencrypt", {"cachefile": "/c", "email": "a@b.test", "hosts": ["r.test"]}),
    ("http.headers", {"X-Content-Type-Options": ["nosniff"]}),
    ("http.debug", {"addr": "127.0.0.1:5001", "prometheus": {"enabled": True, "path": "/metrics"}}),
    ("http.http2.disabled", True),
    ("notifications.endpoints", [{"name": "n", "url": "https://n.test", "headers": {"A": ["b"]}, "backoff": "1s"}]),
    ("notifications.events.includereferences", True),
    ("redis", {"password": "x", "db": 1, "dialtimeout": "100ms"}),
    ("health.storagedriver", {"enabled": True, "interval": "10s", "threshold": 3}),
    ("health.http", [{"uri": "https://h.test", "statuscode": 200, "timeout": "3s", "headers": {"A": ["b"]}}]),
    ("health.tcp", [{"addr": "h:1", "interval": "1.5h"}]),
    ("health.file", [{"file": "/f"}]),
    ("proxy", {"remoteurl": "https://up.test", "username": "u", "password": "p"}),
    ("validation.manifests.urls", {"allow": ["^https://"], "deny": []}),
    ("validation.disabled", True),
    ("policy.repository.classes", ["image"]),
    ("catalog.maxentries", 100),
]
RIGHT_IN_3 = [
    ("storage.cache", {"blobdescriptor": "inmemory", "blobdescriptorsize": 10}),
    ("storage.tag.concurrencylimit", 8),
    ("storage", {"s3": {"bucket": "b", "regionendpoint": "https://s3.test", "forcepathstyle": True}}),
    ("storage", {"azure": {"accountname": "a", "container": "c", "max_retries": 3, "retry_delay": "100ms"}}),
    ("auth.token", {**TOKEN, "jwks": "/j", "signingalgorithms": ["EdDSA"], "autoredirectpath": "/x"}),
    ("http.tls", {"certificate": "/c", "key": "/k", "clientauth": "request-client-cert"}),
    ("http.tls.letsencrypt", {"cachefile": "/c", "email": "e", "directoryurl": "https://acme.test"}),
    ("http.h2c.enabled", True),
    ("log.reportcaller", True),
    ("redis", {"addrs": ["redis:6379"], "poolsize": 64, "connmaxidletime": "300s", "tls": {"rootcas": ["/ca"]}}),
    ("proxy", {"remoteurl": "https://up.test", "ttl": "168h", "exec": {"command": "helper", "lifetime": "1h"}}),
    ("tags.maxtags", 100),
    ("validation.manifests.indexes", {"platforms": "List", "platformlist": [{"os": "linux", "architecture": "arm64"}]}),
]
RIGHT_IN_2 = [
    ("storage", {"swift": {"username": "u", "password": "p", "tempurlmethods": ["GET"]}}),
    ("storage", {"oss": {"bucket": "b"}}),
    ("redis", {"addr": "redis:6379", "pool": {"maxidle": 16, "idletimeout": "300s"}}),
    ("reporting.bugsnag.apikey", "x"),
    ("compatibility.schema1.enabled", False),
]


@pytest.mark.parametrize(("path", "value"), RIGHT_IN_BOTH)
@pytest.mark.parametrize("major", MAJORS)
def test_right_in_both(path: str, value: object, major: int) -> None:
    assert problems(changed(path, value), major) == []


@pytest.mark.parametrize(("path", "value"), RIGHT_IN_3)
def test_right_from_3_on(path: str, value: object) -> None:
    assert problems(changed(path, value), 3) == []
    assert any("from major version 3" in problem for problem in problems(changed(path, value), 2))


@pytest.mark.parametrize(("path", "value"), RIGHT_IN_2)
def test_right_until_2(path: str, value: object) -> None:
    assert problems(changed(path, value), 2) == []
    assert any("no more since major version 3" in problem for problem in problems(changed(path, value), 3))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("version", 1, "version: wanted 0.1, the only version of the format, whatever the registry's own."),
        ("storage.delet", {"enabled": True}, "storage.delet: no key of the registry; is 'delete' meant?"),
        ("http.http2", {"Disabled": True}, "http.http2.Disabled: no key of the registry; is 'disabled' meant?"),
        ("http.relative_urls", True, "http.relative_urls: no key of the registry; is 'relativeurls' meant?"),
        ("zzz", 1, "zzz: no key of the registry."),
        ("storage.delete.enabled", "true", "storage.delete.enabled: is a text, wanted true or false."),
        ("storage.delete", {}, "storage.delete.enabled: is missing."),
        ("storage.filesystem.rootdirectory", 5, "storage.filesystem.rootdirectory: is a number, wanted a text."),
        ("storage.filesystem.maxthreads", "9", "storage.filesystem.maxthreads: is a text, wanted a whole number."),
        ("storage.filesystem.maxthreads", True, "storage.filesystem.maxthreads: is a boolean, wanted a whole number."),
        ("catalog.maxentries", 0, "catalog.maxentries: is 0, wanted 1 or more."),
        ("http.addr", None, "http.addr: is empty, wanted a text."),
        ("http.headers", ["x"], "http.headers: is a list, wanted a mapping."),
        ("http.headers", {"X-A": "b"}, "http.headers.X-A: is a text, wanted a list."),
        ("http.host", "registry.test", "http.host: is not a URL with its scheme."),
        ("http.prefix", "r", "http.prefix: is not a path that begins and ends with a slash."),
        ("http.net", "udp", "http.net: wanted one of tcp, unix."),
        ("http.tls.minimumtls", "tls1.0", "http.tls.minimumtls: wanted one of tls1.2, tls1.3."),
        ("http.tls.key", "/k", "http.tls.certificate: is missing; certificate and key go together."),
        ("log.level", "trace", "log.level: wanted one of error, warn, info, debug."),
        ("auth", {}, "auth: has none of htpasswd, token, silly, none, and needs one."),
        ("auth.htpasswd", {"realm": "r"}, "auth.htpasswd.path: is missing."),
        ("auth.htpasswd", "r", "auth.htpasswd: is a text, wanted a mapping."),
        ("auth.token", TOKEN, "auth.token.rootcertbundle: is missing, or jwks."),
        ("health.tcp", [{"addr": "h:1"}, {}], "health.tcp.1.addr: is missing."),
        (
            "redis.addr",
            "redis:6379",
            "redis.addr: the registry knows it no more since major version 3; there it is 'addrs', a list.",
        ),
        ("storage.cache.blobdescriptor", "redis", "redis.addrs: is missing, and storage.cache wants redis."),
        ("proxy", {"username": "u", "password": "p"}, "proxy.remoteurl: is missing."),
    ],
)
def test_wrong(path: str, value: object, problem: str) -> None:
    assert problems(changed(path, value), 3) == [problem]


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ({"filesystem": {}, "inmemory": {}}, "storage: has filesystem and inmemory, and can have only one of them."),
        ({"delete": {"enabled": True}}, "storage: has none of filesystem, inmemory, s3"),
        ("filesystem", "storage: is a text, wanted a mapping."),
        ({"s3": {"bucket": "b"}}, "storage.s3.region: is missing."),
        ({"s3": {**S3, "chunksize": 1024}}, "storage.s3.chunksize: is 1024, wanted 5242880 or more."),
        ({"inmemory": {"x": 1}}, "storage.inmemory.x: no key of the registry."),
    ],
)
def test_wrong_storage(storage: object, problem: str) -> None:
    (found,) = problems({**BASE, "storage": storage}, 3)
    assert found.startswith(problem)


def test_two_kinds_of_auth() -> None:
    auth = {"htpasswd": {"realm": "r", "path": "/p"}, "silly": {"realm": "r", "service": "s"}}
    assert problems({**BASE, "auth": auth}, 3) == ["auth: has htpasswd and silly, and can have only one of them."]


def test_certificate_and_letsencrypt() -> None:
    tls = {"certificate": "/c", "key": "/k", "letsencrypt": {"cachefile": "/f", "email": "e"}}
    assert problems(changed("http.tls", tls), 3) == [
        "http.tls: has certificate and letsencrypt, and can have only one of them."
    ]


@pytest.mark.parametrize("key", ["age", "interval", "dryrun"])
def test_purging_that_would_stop_the_registry(key: str) -> None:
    purging = {name: value for name, value in PURGING.items() if name != key}
    (problem,) = problems(changed("storage.maintenance.uploadpurging", purging), 3)
    assert problem.startswith(f"storage.maintenance.uploadpurging.{key}: is missing")


@pytest.mark.parametrize("value", ["500ms", "30s", "1h30m", "1.5h", ".5s", "2us", "7µs", "0s", "168h"])
def test_durations(value: str) -> None:
    assert problems(changed("http.draintimeout", value), 3) == []


@pytest.mark.parametrize("value", [30, 1.5, 0])
def test_durations_without_a_unit(value: float) -> None:
    (problem,) = problems(changed("http.draintimeout", value), 3)
    assert problem.startswith("http.draintimeout: has no unit, so it would be nanoseconds")


@pytest.mark.parametrize("value", ["30", "30 s", "s", "", "-5s", "1d", "5S", "1h 30m", True, None, []])
def test_what_is_no_duration(value: object) -> None:
    (problem,) = problems(changed("http.draintimeout", value), 3)
    assert "wanted a duration" in problem


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["ns", "us", "ms", "s", "m", "h"])), min_size=1))
def test_any_duration(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert problems(changed("http.draintimeout", text), 3) == []


@pytest.mark.parametrize("config", [None, [], "x", 5, {}])
def test_what_is_no_configuration(config: object) -> None:
    assert problems(config, 3)
    with pytest.raises(RegistryError, match=r"^config: "):
        check(config, 3)


def test_all_problems_at_once() -> None:
    config = {**BASE, "a": 1, "log": {"level": 5}, "http": {"draintimeout": 5}}
    assert len(problems(config, 3)) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=12,
)
CONFIGS = st.dictionaries(st.text(min_size=1), JSON, max_size=4)


@given(CONFIGS, st.sampled_from(MAJORS))
def test_no_configuration_upsets(config: dict[str, Any], major: int) -> None:
    problems(config, major)
    problems({**BASE, **config}, major)
    problems(changed("storage.s3", config), major)


@given(JSON)
def test_no_value_upsets_any_section(value: object) -> None:
    for section in ("log", "storage", "auth", "http", "redis", "health", "proxy", "notifications"):
        problems({**BASE, section: value}, 3)


@pytest.mark.parametrize("text", ["A\u0085", "\u2028", "Zürich", "\ufeffx", "a\nb"])
def test_every_kind_of_character_is_read_back(text: str) -> None:
    assert parse_file(render({text: text})).config == {text: text}


@given(CONFIGS)
def test_what_is_rendered_is_read_back(config: dict[str, Any]) -> None:
    assert parse_file(render(config)).config == config


@given(CONFIGS)
def test_what_is_read_back_has_no_reason_to_change(config: dict[str, Any]) -> None:
    assert explain(parse_file(render(config)).config, config) == []


@pytest.mark.parametrize(
    "text",
    [
        "y",
        "n",
        "Y",
        "1e3",
        "0o7",
        "0x1f",
        "1_000",
        "12:30",
        "2026-01-01",
        "true",
        "null",
        "~",
        "",
        "-",
        ".inf",
        ":5000",
    ],
)
def test_texts_that_look_like_something_else_are_quoted(text: str) -> None:
    assert render({"key": text}).splitlines()[-1] in (f'key: "{text}"', f"key: '{text}'")


def test_layout() -> None:
    shared = ["nosniff"]
    text = render({"bb": {"xx": "/a/b", "nn": 1, "on": True}, "aa": shared, "cc": shared, "ee": None, "ll": "x/" * 99})
    body = f"bb:\n  xx: /a/b\n  nn: 1\n  'on': true\naa:\n- nosniff\ncc:\n- nosniff\nee: null\nll: {'x/' * 99}\n"
    assert text == f"{HEADER}---\n{body}"
    assert yaml.safe_load(text)["aa"] == shared


def test_the_secret_is_added_and_kept() -> None:
    assert with_secret(BASE, "s")["http"] == {"secret": "s"}
    assert with_secret({**BASE, "http": {"addr": ":1"}}, "s")["http"] == {"addr": ":1", "secret": "s"}
    assert with_secret({**BASE, "http": {"secret": "mine"}}, "s")["http"] == {"secret": "mine"}
    assert "http" not in BASE


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http: {secret: s}", "s"),
        ("http: {secret: ''}", None),
        ("http: {secret: 5}", None),
        ("http: x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_secret_of_a_file(text: str | None, secret: str | None) -> None:
    assert parse_file(text).secret == secret


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: b: c", "it is no YAML (line 1)"),
        ("http:\n  secret: [hidden", "it is no YAML (line 2)"),
        ("!!python/object:os.system x", "it is no YAML (line 1)"),
        ("- a", "it is no mapping"),
        ("hidden", "it is no mapping"),
    ],
)
def test_files_that_cannot_be_parsed(text: str, fault: str) -> None:
    found = parse_file(text)
    assert found.fault == fault
    assert "hidden" not in repr(found)


def test_reasons() -> None:
    before = {"a": {"x": True, "y": "old"}, "l": [1, 2], "gone": 1, "e": None}
    after = {"a": {"x": False, "y": "old"}, "l": [1, 3, "z"], "new": "n", "e": {}}
    assert explain(before, after) == [
        "a.x: true, wanted false",
        "l.1: 2, wanted 3",
        'l.2: not set, wanted "z"',
        'new: not set, wanted "n"',
        "gone: 1, wanted not set",
    ]


def test_types_count() -> None:
    assert explain({"a": 1, "b": "true"}, {"a": True, "b": True}) == ["a: 1, wanted true", 'b: "true", wanted true']


@pytest.mark.parametrize(
    "path",
    [
        "http.secret",
        "redis.password",
        "redis.sentinelpassword",
        "proxy.password",
        "log.hooks.0.options.smtp.password",
        "storage.s3.accesskey",
        "storage.s3.secretkey",
        "storage.s3.keyid",
        "storage.azure.accountkey",
        "storage.azure.connectionstring",
        "storage.azure.credentials.secret",
        "storage.gcs.credentials.private_key",
        "storage.swift.password",
        "storage.oss.accesskeysecret",
        "storage.oss.accesskeyid",
        "storage.S3.SecretKey",
        "notifications.endpoints.0.headers.Authorization.0",
        "health.http.0.headers.Authorization.0",
        "middleware.storage.0.options.privatekey",
        "reporting.bugsnag.apikey",
    ],
)
def test_secret_paths(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize(
    "path",
    [
        "http.tls.key",
        "auth.htpasswd.path",
        "auth.token.realm",
        "storage.s3.bucket",
        "storage.gcs.keyfile",
        "redis.addrs.0",
        "http.headers.X-A.0",
        "notifications.endpoints.0.url",
        "middleware.storage.0.name",
        "proxy.username",
    ],
)
def test_paths_that_are_shown(path: str) -> None:
    assert not is_secret(path)


@given(st.text(min_size=8), st.text(min_size=8))
def test_secrets_are_never_shown(old: str, new: str) -> None:
    before, after = ({"http": {"secret": secret}, "redis": {"password": secret}} for secret in (old, new))
    reasons = explain(before, after)
    assert reasons == ([f"{path}: {MASK}, wanted another" for path in flatten(after)] if old != new else [])
    assert describe(before) == f"http.secret: {MASK}\nredis.password: {MASK}\n"
    mark = ", another" if old != new else ""
    assert describe(after, before) == f"http.secret: {MASK}{mark}\nredis.password: {MASK}{mark}\n"


def test_users_in_urls_are_masked() -> None:
    config = {"notifications": {"endpoints": [{"url": "https://u:hidden@n.test/e"}]}}
    assert describe(config) == f'notifications.endpoints.0.url: "https://{MASK}@n.test/e"\n'


def test_problems_hold_no_secret() -> None:
    config = {
        **BASE,
        "redis": {"password": {"hidden1": "hidden2"}},
        "proxy": {"remoteurl": "hidden3"},
        "log": {"level": "hidden4"},
    }
    text = json.dumps(problems(config, 3))
    assert not any(f"hidden{number}" in text for number in (2, 3, 4))


def test_secret_values() -> None:
    config = {"http": {"secret": "a", "addr": "b"}, "redis": {"password": "c"}, "storage": {"s3": {"secretkey": ""}}}
    assert secret_values(config) == {"a", "c"}
    assert secret_values({"proxy": {"remoteurl": "https://me:hidden@hub.test/v2"}, "a": ["b@c"]}) == {"me:hidden"}
    assert secret_values(None) == set()


def test_filter() -> None:
    assert FilterModule().filters() == {"config_problems": config_problems}
    assert config_problems(BASE) == []
    assert config_problems({**BASE, "redis": {"addr": "r:1"}}, major=2) == []
    assert len(config_problems({**BASE, "redis": {"addr": "r:1"}}, major=3)) == 1
    with pytest.raises(AnsibleFilterError, match="major is 4"):
        config_problems(BASE, major=4)
