# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of a registry may hold, as data, for the major versions 2 and 3.

From configuration/configuration.go and the storage drivers of distribution (v2.8.3, v3.1.1, the main branch).
The registry itself passes over keys that it does not know: a slip of the pen would leave off what it was for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAJORS = (2, 3)

# What time.ParseDuration of Go reads, without a sign.
_DURATION = re.compile(r"(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+")


class Field:
    """What may stand at one place of the configuration."""

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        """Say what is wrong with a value, a clause each that begins with the path. It never quotes a text."""
        raise NotImplementedError


class Leaf(Field):
    """A value without a structure of its own, the same in all versions."""

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        del major
        problem = self.problem(value)
        if problem:
            yield f"{path}: {problem}"

    def problem(self, value: object) -> str:
        """Say what is wrong with the value; nothing when it is right."""
        raise NotImplementedError


class Free(Leaf):
    """Anything: what it means is not for the registry to say."""

    def problem(self, value: object) -> str:
        del value
        return ""


@dataclass(frozen=True)
class Text(Leaf):
    """A text; with a pattern, one that matches it."""

    pattern: str = ""
    wanted: str = "a text"

    def problem(self, value: object) -> str:
        if not isinstance(value, str):
            return f"is {_kind(value)}, wanted {self.wanted}"
        return f"is not {self.wanted}" if self.pattern and not re.fullmatch(self.pattern, value) else ""


class Flag(Leaf):
    """A boolean."""

    def problem(self, value: object) -> str:
        return "" if isinstance(value, bool) else f"is {_kind(value)}, wanted true or false"


@dataclass(frozen=True)
class Number(Leaf):
    """A whole number."""

    least: int = 0

    def problem(self, value: object) -> str:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"is {_kind(value)}, wanted a whole number"
        return f"is {value}, wanted {self.least} or more" if value < self.least else ""


class Duration(Leaf):
    """A span of time with its unit: the registry would take a bare number for nanoseconds."""

    def problem(self, value: object) -> str:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"has no unit, so it would be nanoseconds; write such as {value}s, {value}m or {value}h"
        if isinstance(value, str) and _DURATION.fullmatch(value):
            return ""
        return f"is {_kind(value)}, wanted a duration such as 500ms, 30s, 10m or 168h"


class FormatVersion(Leaf):
    """The version of the configuration's format, of which there is but one."""

    def problem(self, value: object) -> str:
        right = str(value) == "0.1" and not isinstance(value, bool)
        return "" if right else "wanted 0.1, the only version of the format, whatever the registry's own"


@dataclass(frozen=True)
class Choice(Leaf):
    """One of some words."""

    words: Sequence[str]
    any_case: bool = False

    def problem(self, value: object) -> str:
        word = value.lower() if self.any_case and isinstance(value, str) else value
        return "" if word in self.words else f"wanted one of {', '.join(self.words)}"


@dataclass(frozen=True)
class Items(Field):
    """A list of values of one kind."""

    item: Field

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        if isinstance(value, (list, tuple)):
            for position, item in enumerate(value):
                yield from self.item.problems(f"{path}.{position}", item, major)
        else:
            yield f"{path}: is {_kind(value)}, wanted a list"


@dataclass(frozen=True)
class Named(Field):
    """A mapping with free keys, and values of one kind."""

    item: Field

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, item in value.items():
                yield from self.item.problems(f"{path}.{name}", item, major)
        else:
            yield f"{path}: is {_kind(value)}, wanted a mapping"


@dataclass(frozen=True)
class Only(Field):
    """A field that one major version knows."""

    major: int
    field: Field
    instead: str = ""

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        if major == self.major:
            yield from self.field.problems(path, value, major)
        elif major < self.major:
            yield f"{path}: the registry knows it from major version {self.major}, this one is {major}"
        else:
            hint = f"; {self.instead}" if self.instead else ""
            yield f"{path}: the registry knows it no more since major version {self.major + 1}{hint}"


@dataclass(frozen=True)
class Section(Field):
    """A mapping of known keys. Exactly one of *one_of* has to be there; *pairs* come both or not at all."""

    fields: Mapping[str, Field]
    required: Sequence[str] = ()
    one_of: Sequence[str] = ()
    pairs: Sequence[tuple[str, str]] = ()

    def problems(self, path: str, value: object, major: int) -> Iterator[str]:
        given = {} if value is None else value
        if not isinstance(given, Mapping):
            yield f"{path or 'config'}: is {_kind(value)}, wanted a mapping"
            return
        for key, item in given.items():
            field = self.fields.get(key)
            if field is None:
                yield f"{_join(path, key)}: no key of the registry{self._nearest(key, major)}"
            else:
                yield from field.problems(_join(path, key), item, major)
        yield from self._absent(path, given)

    def _absent(self, path: str, given: Mapping[str, object]) -> Iterator[str]:
        for key in self.required:
            if key not in given:
                yield f"{_join(path, key)}: is missing"
        for pair in self.pairs:
            missing = [key for key in pair if key not in given]
            if len(missing) == 1:
                yield f"{_join(path, missing[0])}: is missing; {' and '.join(pair)} go together"
        chosen = [key for key in given if key in self.one_of]
        if len(chosen) > 1:
            yield f"{path}: has {' and '.join(chosen)}, and can have only one of them"
        elif self.one_of and not chosen:
            yield f"{path}: has none of {', '.join(self.one_of)}, and needs one"

    def _nearest(self, key: object, major: int) -> str:
        known = [name for name, field in self.fields.items() if not isinstance(field, Only) or field.major == major]
        near = difflib.get_close_matches(str(key).lower().replace("_", ""), known, n=1)
        return f"; is '{near[0]}' meant?" if near else ""


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _kind(value: object) -> str:
    kinds = ((bool, "a boolean"), (str, "a text"), ((int, float), "a number"), (Mapping, "a mapping"))
    for types, name in (*kinds, ((list, tuple), "a list")):
        if isinstance(value, types):
            return name
    return "empty"


def _new(field: Field) -> Only:
    return Only(3, field)


def _old(field: Field, instead: str = "") -> Only:
    return Only(2, field, instead)


TEXT, FLAG, NUMBER, DURATION, FREE = Text(), Flag(), Number(), Duration(), Free()
TEXTS = Items(TEXT)
HEADERS = Named(TEXTS)
LEVEL = Choice(("error", "warn", "info", "debug"), any_case=True)

_TLS12_CIPHERS = tuple(
    f"TLS_{name}"
    for name in (
        "RSA_WITH_3DES_EDE_CBC_SHA",
        "RSA_WITH_AES_128_CBC_SHA",
        "RSA_WITH_AES_256_CBC_SHA",
        "RSA_WITH_AES_128_GCM_SHA256",
        "RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    )
)
_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

_HTTP = Section(
    {
        "addr": TEXT,
        "net": Choice(("tcp", "unix")),
        "host": Text(r"https?://[^/].*", "a URL with its scheme"),
        "prefix": Text(r"/(.*/)?", "a path that begins and ends with a slash"),
        "secret": TEXT,
        "relativeurls": FLAG,
        "draintimeout": DURATION,
        "tls": Section(
            {
                "certificate": TEXT,
                "key": TEXT,
                "clientcas": TEXTS,
                "clientauth": _new(
                    Choice(
                        (
                            "request-client-cert",
                            "require-any-client-cert",
                            "verify-client-cert-if-given",
                            "require-and-verify-client-cert",
                        )
                    )
                ),
                # Older ones still start a registry 2, and no client of today.
                "minimumtls": Choice(("tls1.2", "tls1.3")),
                "ciphersuites": Items(Choice(_TLS12_CIPHERS + _TLS13_CIPHERS)),
                "letsencrypt": Section(
                    {"cachefile": TEXT, "email": TEXT, "hosts": TEXTS, "directoryurl": _new(TEXT)},
                    required=("cachefile", "email"),
                ),
            },
            pairs=(("certificate", "key"),),
        ),
        "headers": HEADERS,
        "debug": Section(
            {
                "addr": TEXT,
                "prometheus": Section({"enabled": FLAG, "path": Text("/.*", "a path that begins with a slash")}),
            },
            required=("addr",),
        ),
        "http2": Section({"disabled": FLAG}),
        "h2c": _new(Section({"enabled": FLAG})),
    }
)

_LOG = Section(
    {
        "accesslog": Section({"disabled": FLAG}),
        "level": LEVEL,
        "formatter": Choice(("text", "json", "logstash")),
        "fields": Named(FREE),
        "hooks": Items(
            Section(
                {
                    "disabled": FLAG,
                    "type": Choice(("mail",)),
                    "levels": Items(Choice(("panic", "fatal", "error", "warn", "info", "debug"))),
                    "options": Section(
                        {
                            "smtp": Section({"addr": TEXT, "username": TEXT, "password": TEXT, "insecure": FLAG}),
                            "from": TEXT,
                            "to": TEXTS,
                        }
                    ),
                },
                required=("type",),
            )
        ),
        "reportcaller": _new(FLAG),
    }
)

_S3_CHUNK = Number(5 * 1024 * 1024)
_S3 = Section(
    {
        "accesskey": TEXT,
        "secretkey": TEXT,
        "region": TEXT,
        "regionendpoint": TEXT,
        "forcepathstyle": _new(FLAG),
        "accelerate": _new(FLAG),
        "bucket": TEXT,
        "encrypt": FLAG,
        "keyid": TEXT,
        "secure": FLAG,
        "skipverify": FLAG,
        "v4auth": FLAG,
        "chunksize": _S3_CHUNK,
        "multipartcopychunksize": _S3_CHUNK,
        "multipartcopymaxconcurrency": Number(1),
        "multipartcopythresholdsize": NUMBER,
        "rootdirectory": TEXT,
        "storageclass": TEXT,
        "useragent": _new(TEXT),
        "objectacl": TEXT,
        "usedualstack": _new(FLAG),
        "usefipsendpoint": _new(FLAG),
        "loglevel": _new(TEXT),
    },
    required=("bucket",),
)
_DRIVERS: dict[str, Field] = {
    "filesystem": Section({"rootdirectory": TEXT, "maxthreads": NUMBER}),
    "inmemory": Section({}),
    "s3": _S3,
    "s3aws": _S3,
    "azure": Section(
        {
            "accountname": TEXT,
            "accountkey": TEXT,
            "container": TEXT,
            "realm": TEXT,
            "connectionstring": _new(TEXT),
            "rootdirectory": _new(TEXT),
            "serviceurl": _new(TEXT),
            "max_retries": _new(NUMBER),
            "retry_delay": _new(DURATION),
            "skipverify": _new(FLAG),
            "credentials": _new(
                Section(
                    {
                        "type": Choice(("client_secret", "shared_key", "default_credentials")),
                        "clientid": TEXT,
                        "tenantid": TEXT,
                        "secret": TEXT,
                    }
                )
            ),
        },
        required=("accountname", "container"),
    ),
    "gcs": Section(
        {
            "bucket": TEXT,
            "keyfile": TEXT,
            "credentials": Named(TEXT),
            "rootdirectory": TEXT,
            "chunksize": Number(256 * 1024),
            "maxconcurrency": NUMBER,
            "useragent": _new(TEXT),
        },
        required=("bucket",),
    ),
    "swift": _old(Named(FREE), "move the data to a driver that is left"),
    "oss": _old(Named(FREE), "move the data to a driver that is left"),
}
_CACHE = Choice(("inmemory", "redis"))
_STORAGE = Section(
    {
        **_DRIVERS,
        "maintenance": Section(
            {
                "uploadpurging": Section(
                    {"enabled": FLAG, "age": DURATION, "interval": DURATION, "dryrun": FLAG},
                    required=("enabled",),
                ),
                "readonly": Section({"enabled": FLAG}, required=("enabled",)),
            }
        ),
        "delete": Section({"enabled": FLAG}, required=("enabled",)),
        "redirect": Section({"disable": FLAG}, required=("disable",)),
        "cache": Section({"blobdescriptor": _CACHE, "layerinfo": _CACHE, "blobdescriptorsize": _new(NUMBER)}),
        "tag": _new(Section({"concurrencylimit": NUMBER})),
    },
    one_of=tuple(_DRIVERS),
)

_AUTH: dict[str, Field] = {
    "htpasswd": Section({"realm": TEXT, "path": TEXT}, required=("realm", "path")),
    "token": Section(
        {
            "realm": TEXT,
            "service": TEXT,
            "issuer": TEXT,
            "rootcertbundle": TEXT,
            "jwks": _new(TEXT),
            "autoredirect": FLAG,
            "autoredirectpath": _new(TEXT),
            "signingalgorithms": _new(TEXTS),
        },
        required=("realm", "service", "issuer"),
    ),
    "silly": Section({"realm": TEXT, "service": TEXT}, required=("realm", "service")),
    "none": Section({}),
}

_MIDDLEWARE = Items(Section({"name": TEXT, "disabled": FLAG, "options": Named(FREE)}, required=("name",)))

_REDIS: dict[str, Field] = {
    "addr": _old(TEXT, "there it is 'addrs', a list"),
    "password": TEXT,
    "db": NUMBER,
    "dialtimeout": DURATION,
    "readtimeout": DURATION,
    "writetimeout": DURATION,
    "pool": _old(
        Section({"maxidle": NUMBER, "maxactive": NUMBER, "idletimeout": DURATION}),
        "there it is 'maxidleconns', 'poolsize' and 'connmaxidletime'",
    ),
    "tls": _new(
        # clientcas until 3.1, rootcas after it.
        Section(
            {"certificate": TEXT, "key": TEXT, "clientcas": TEXTS, "rootcas": TEXTS},
            pairs=(("certificate", "key"),),
        )
    ),
    "addrs": _new(TEXTS),
    **dict.fromkeys(
        ("clientname", "username", "sentinelusername", "sentinelpassword", "mastername", "identitysuffix"),
        _new(TEXT),
    ),
    **dict.fromkeys(
        (
            "protocol",
            "maxretries",
            "poolsize",
            "minidleconns",
            "maxidleconns",
            "maxactiveconns",
            "maxredirects",
        ),
        _new(NUMBER),
    ),
    **dict.fromkeys(
        ("minretrybackoff", "maxretrybackoff", "pooltimeout", "connmaxidletime", "connmaxlifetime"),
        _new(DURATION),
    ),
    **dict.fromkeys(
        (
            "contexttimeoutenabled",
            "poolfifo",
            "readonly",
            "routebylatency",
            "routerandomly",
            "disableidentity",
        ),
        _new(FLAG),
    ),
    "unstableresp3": _new(FLAG),
}

_CHECK: dict[str, Field] = {"interval": DURATION, "threshold": NUMBER}
_HEALTH = Section(
    {
        "storagedriver": Section({"enabled": FLAG, **_CHECK}, required=("enabled",)),
        "file": Items(Section({"file": TEXT, **_CHECK}, required=("file",))),
        "http": Items(
            Section(
                {"uri": TEXT, "headers": HEADERS, "statuscode": NUMBER, "timeout": DURATION, **_CHECK},
                required=("uri",),
            )
        ),
        "tcp": Items(Section({"addr": TEXT, "timeout": DURATION, **_CHECK}, required=("addr",))),
    }
)

_NOTIFICATIONS = Section(
    {
        "events": Section({"includereferences": FLAG}),
        "endpoints": Items(
            Section(
                {
                    "name": TEXT,
                    "disabled": FLAG,
                    "url": TEXT,
                    "headers": HEADERS,
                    "timeout": DURATION,
                    "threshold": NUMBER,
                    "backoff": DURATION,
                    "ignoredmediatypes": TEXTS,
                    "ignore": Section({"mediatypes": TEXTS, "actions": TEXTS}),
                },
                required=("name", "url"),
            )
        ),
    }
)

_VALIDATION = Section(
    {
        "enabled": FLAG,
        "disabled": FLAG,
        "manifests": Section(
            {
                "urls": Section({"allow": TEXTS, "deny": TEXTS}),
                "indexes": _new(
                    Section(
                        {
                            "platforms": Choice(("all", "none", "list"), any_case=True),
                            "platformlist": Items(Section({"architecture": TEXT, "os": TEXT})),
                        }
                    )
                ),
            }
        ),
    }
)

CONFIGURATION = Section(
    {
        "version": FormatVersion(),
        "log": _LOG,
        "loglevel": LEVEL,
        "storage": _STORAGE,
        "auth": Section(_AUTH, one_of=tuple(_AUTH)),
        "middleware": Section({"registry": _MIDDLEWARE, "repository": _MIDDLEWARE, "storage": _MIDDLEWARE}),
        "http": _HTTP,
        "notifications": _NOTIFICATIONS,
        "redis": Section(_REDIS),
        "health": _HEALTH,
        "catalog": Section({"maxentries": Number(1)}),
        "tags": _new(Section({"maxtags": Number(1)})),
        "proxy": Section(
            {
                "remoteurl": Text(r"https?://[^/].*", "a URL with its scheme"),
                "username": TEXT,
                "password": TEXT,
                "exec": _new(Section({"command": TEXT, "lifetime": DURATION}, required=("command",))),
                "ttl": _new(DURATION),
                "cachewritetimeout": _new(DURATION),
            },
            required=("remoteurl",),
            pairs=(("username", "password"),),
        ),
        "validation": _VALIDATION,
        "policy": Section({"repository": Section({"classes": TEXTS})}),
        "reporting": _old(Section({"bugsnag": Named(FREE), "newrelic": Named(FREE)})),
        "compatibility": _old(
            Section({"schema1": Section({"signingkeyfile": TEXT, "enabled": FLAG})}),
            "schema 1 images are gone with it",
        ),
    },
    required=("version", "storage"),
)


def problems(config: object, major: int) -> list[str]:
    """All that is wrong with a configuration for a major version, a sentence each; never a secret in them."""
    found = list(CONFIGURATION.problems("", config, major))
    if isinstance(config, Mapping):
        for rule in (_purging, _letsencrypt, _token_keys, _region, _redis_cache):
            found += rule(config, major)
    return [text if text.endswith("?") else f"{text}." for text in found]


# What no single section can tell. Each rule stands for a panic or a silent default of the registry.


def _purging(config: Mapping[str, object], major: int) -> Iterator[str]:
    del major
    purging = _section(config, "storage.maintenance.uploadpurging")
    if purging.get("enabled") is True:
        for key in ("age", "interval", "dryrun"):
            if key not in purging:
                yield f"storage.maintenance.uploadpurging.{key}: is missing, and the registry would not start"


def _letsencrypt(config: Mapping[str, object], major: int) -> Iterator[str]:
    del major
    tls = _section(config, "http.tls")
    if "letsencrypt" in tls and "certificate" in tls:
        yield "http.tls: has certificate and letsencrypt, and can have only one of them"


def _token_keys(config: Mapping[str, object], major: int) -> Iterator[str]:
    token = _section(config, "auth.token")
    if token and "rootcertbundle" not in token and (major == MAJORS[0] or "jwks" not in token):
        alternative = "" if major == MAJORS[0] else ", or jwks"
        yield f"auth.token.rootcertbundle: is missing{alternative}"


def _region(config: Mapping[str, object], major: int) -> Iterator[str]:
    for driver in ("s3", "s3aws"):
        storage = _section(config, f"storage.{driver}")
        if storage and "region" not in storage and (major == MAJORS[0] or "regionendpoint" not in storage):
            yield f"storage.{driver}.region: is missing"


def _redis_cache(config: Mapping[str, object], major: int) -> Iterator[str]:
    address = "addr" if major == MAJORS[0] else "addrs"
    cache = _section(config, "storage.cache")
    if "redis" in (cache.get("blobdescriptor"), cache.get("layerinfo")) and address not in _section(config, "redis"):
        yield f"redis.{address}: is missing, and storage.cache wants redis"


def _section(config: Mapping[str, object], path: str) -> Mapping[str, object]:
    found: object = config
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
