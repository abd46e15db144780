# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is expected of a registry, and what a client sees of it, step by step."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.stronghold.registry.plugins.module_utils._connection import (
    parse_credentials,
    parse_endpoint,
    parse_timeout,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import (
    Client,
    Credentials,
    Endpoint,
    Reply,
    completed_upload,
    digest_of,
    parse_challenge,
)

BASE = "/v2/"
API_HEADER = "Docker-Distribution-Api-Version"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

# A repository's name: registry/api of distribution, reference grammar.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_SHA256_DIGITS = 64
_DAY = 24 * 60 * 60
_REDIRECTIONS = (301, 302, 303, 307, 308)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


# The smallest artifact (OCI image-spec 1.1, guidelines for artifact usage): one blob, the empty descriptor's, is both
# configuration and layer. Its bytes never change, so any number of probes leaves one manifest.
BLOB = b"{}"
_EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(BLOB), "size": len(BLOB)}
MANIFEST = _json(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": "application/vnd.stronghold.probe",
        "config": _EMPTY,
        "layers": [_EMPTY],
    }
)


@dataclass(frozen=True)
class Expectations:
    """What a probe is to find."""

    endpoint: Endpoint
    credentials: Optional[Credentials] = None
    anonymous: str = "any"
    fingerprint: str = ""
    repository: str = "stronghold/probe"
    push: bool = True
    delete: bool = True
    timeout: float = 30


@dataclass
class Report:
    """What a probe has seen."""

    api_version: Optional[str] = None
    realm: Optional[str] = None
    anonymous: Optional[str] = None
    fingerprint: Optional[str] = None
    not_after: Optional[str] = None
    days_left: Optional[int] = None
    tls_version: Optional[str] = None
    pushed: Optional[str] = None
    deleted: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)


def parse_expectations(params: Mapping[str, Any], check_mode: bool) -> Expectations:
    """Read the parameters of the module.

    :raises RegistryError: which one is wrong, and what it should be.
    """
    credentials = parse_credentials(params)
    if not _REPOSITORY.fullmatch(params["repository"]):
        raise RegistryError(f"repository: '{params['repository']}' is no repository's name; write such as team/probe.")
    endpoint = parse_endpoint(params)
    return Expectations(
        endpoint=endpoint,
        credentials=credentials,
        anonymous=params["anonymous"] or ("refused" if credentials else "any"),
        fingerprint=_parse_fingerprint(params["fingerprint"] or "", endpoint),
        repository=params["repository"],
        push=params["push"] and not check_mode,
        delete=params["delete"],
        timeout=parse_timeout(params),
    )


def _parse_fingerprint(text: str, endpoint: Endpoint) -> str:
    digits = text.replace(":", "").lower()
    if digits and not endpoint.tls:
        raise RegistryError("fingerprint: nothing has one without TLS; leave it out or set security to tls.")
    if digits and not re.fullmatch(f"[0-9a-f]{{{_SHA256_DIGITS}}}", digits):
        raise RegistryError("fingerprint: is no SHA-256 in hexadecimal digits.")
    return digits


class Probe:
    """One pass over a registry; each step either adds to the report or raises what is wrong."""

    def __init__(self, wanted: Expectations) -> None:
        self.wanted = wanted
        self.client = Client(wanted.endpoint, wanted.timeout)
        self.report = Report()

    def run(self) -> Report:
        self._step("reach", self._reach)
        # The registry computes a bcrypt hash for every request that bears a password, so none is asked without need,
        # and some at the same time as others.
        with ThreadPoolExecutor() as pool:
            other = None
            if self.wanted.credentials and self.report.anonymous == "refused":
                other = pool.submit(self._step, "wrong password", self._wrong_password)
            self._use()
            if other is not None:
                other.result()
        return self.report

    def _use(self) -> None:
        """Do what a user does; where that is to push, it proves the password too."""
        if self.wanted.push:
            self._step("push", self._push)
            self._step("pull", self._pull)
        elif self.wanted.credentials:
            self._step("right password", self._right_password)
        if self.wanted.push and self.wanted.delete:
            self._step("delete", self._delete)

    def _step(self, name: str, action: Callable[[], str]) -> None:
        started = time.monotonic()
        seen = action()
        self.report.steps.append({"step": name, "seen": seen, "seconds": round(time.monotonic() - started, 3)})

    def _reach(self) -> str:
        try:
            reply = self.client.reach(BASE)
        except RegistryError:
            # That the former certificate is still served explains more than what is wrong with it.
            if self.wanted.fingerprint:
                self._check_fingerprint(self.client.served_fingerprint())
            raise
        self._note_certificate()
        self._note_base(reply)
        self._check_anonymous()
        return f"{reply.status}" + (f", realm {self.report.realm}" if self.report.realm else "")

    def _note_certificate(self) -> None:
        served = self.client.served
        if served is None:
            return
        self._check_fingerprint(served.fingerprint)
        self.report.fingerprint = served.fingerprint
        self.report.not_after = datetime.fromtimestamp(served.not_after, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.report.days_left = int((served.not_after - time.time()) // _DAY)
        self.report.tls_version = served.tls_version

    def _check_fingerprint(self, served: Optional[str]) -> None:
        if self.wanted.fingerprint and served and served != self.wanted.fingerprint:
            raise RegistryError(
                f"{self._endpoint} serves another certificate (SHA-256 {served}) than the expected one "
                f"({self.wanted.fingerprint}): the container was not restarted after a renewal."
            )

    def _note_base(self, reply: Reply) -> None:
        """Read the answer to ``GET /v2/`` without credentials."""
        challenge = parse_challenge(reply.header("WWW-Authenticate"))
        if reply.status == http.client.UNAUTHORIZED and challenge.scheme == "bearer":
            raise RegistryError(f"{self._endpoint} wants tokens (Bearer), which this probe does not support yet.")
        self.report.api_version = reply.header(API_HEADER)
        if reply.status not in (http.client.OK, http.client.UNAUTHORIZED) or not self.report.api_version:
            header = "" if self.report.api_version else f" without {API_HEADER}"
            raise RegistryError(f"{self._endpoint} answers {reply.fault}{header} to GET {BASE}: that is no registry.")
        self.report.realm = challenge.realm
        self.report.anonymous = "allowed" if reply.status == http.client.OK else "refused"

    def _check_anonymous(self) -> None:
        if self.wanted.anonymous == "refused" and self.report.anonymous == "allowed":
            raise RegistryError(
                f"{self._endpoint} lets everybody in without a password, and should not: "
                "is there an auth section in its configuration?"
            )
        if self.wanted.anonymous == "allowed" and self.report.anonymous == "refused":
            raise RegistryError(f"{self._endpoint} demands a password, and should let everybody in.")
        if self.wanted.push and not self.wanted.credentials and self.report.anonymous == "refused":
            raise RegistryError(
                f"{self._endpoint} demands a password: give username and password, or set push to false."
            )

    def _wrong_password(self) -> str:
        user = self._user
        reply = self.client.request("GET", BASE, credentials=Credentials(user, secrets.token_urlsafe(12)))
        if reply.status == http.client.OK:
            raise RegistryError(f"{self._endpoint} lets user {user} in with a wrong password.")
        if reply.status != http.client.UNAUTHORIZED:
            raise RegistryError(f"{self._endpoint} answers {reply.fault} to a wrong password, not 401.")
        return str(reply.status)

    def _right_password(self) -> str:
        reply = self._ask("GET", BASE)
        self._check_password(reply)
        if reply.status != http.client.OK:
            raise RegistryError(f"{self._endpoint} answers {reply.fault} to the right password of user {self._user}.")
        return str(reply.status)

    def _check_password(self, reply: Reply) -> None:
        if reply.status == http.client.UNAUTHORIZED and self.wanted.credentials:
            raise RegistryError(
                f"{self._endpoint} refuses the password of user {self._user}: "
                "another one is in its user file, or the user is not."
            )

    def _push(self) -> str:
        self._push_blob(BLOB)
        digest = digest_of(MANIFEST)
        reply = self._ask("PUT", self._manifest_path, headers={"Content-Type": MANIFEST_TYPE}, body=MANIFEST)
        self._demand(reply, http.client.CREATED, "the manifest")
        self.report.pushed = digest
        return digest

    def _push_blob(self, blob: bytes) -> None:
        repository, digest = self.wanted.repository, digest_of(blob)
        # Mounted, which writes its link anew, where a former probe has left it: one request, and so one hash, less.
        path = f"{BASE}{repository}/blobs/uploads/?mount={quote(digest)}&from={quote(repository, safe='')}"
        reply = self._ask("POST", path, headers={"Content-Length": "0"})
        self._check_password(reply)
        if reply.status != http.client.CREATED:
            self._demand(reply, http.client.ACCEPTED, "an upload")
        location = self.client.upload_location(reply, path)
        if reply.status == http.client.CREATED:
            return
        reply = self._ask(
            "PUT",
            completed_upload(location, digest),
            headers={"Content-Type": "application/octet-stream"},
            body=blob,
        )
        self._demand(reply, http.client.CREATED, "a blob")

    def _demand(self, reply: Reply, status: int, what: str) -> None:
        if reply.status == status:
            return
        hint = ""
        if reply.status == http.client.METHOD_NOT_ALLOWED:
            hint = ": it is read-only (storage.maintenance.readonly) or a pull-through cache (proxy)"
        elif reply.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            hint = (
                f": user {self._user} may not push"
                if self.wanted.credentials
                else ": nobody may push without a password"
            )
        elif reply.status >= http.client.INTERNAL_SERVER_ERROR:
            hint = ": look into its log and at its storage"
        raise RegistryError(f"{self._endpoint} answers {reply.fault} to the push of {what}{hint}.")

    def _pull(self) -> str:
        blob_path = f"{BASE}{self.wanted.repository}/blobs/{digest_of(BLOB)}"
        with ThreadPoolExecutor() as pool:
            for compared in (
                pool.submit(self._compare, "manifest", self._manifest_path, MANIFEST),
                pool.submit(self._compare, "blob", blob_path, BLOB),
            ):
                compared.result()
        return "the same bytes"

    def _compare(self, what: str, path: str, content: bytes) -> None:
        reply = self._ask("GET", path, headers={"Accept": MANIFEST_TYPE if what == "manifest" else "*/*"})
        if reply.status in _REDIRECTIONS:
            reply = self.client.follow(reply, path)
        if reply.status != http.client.OK:
            raise RegistryError(f"{self._endpoint} answers {reply.fault} to the pull of a {what} that was just pushed.")
        if reply.body != content:
            raise RegistryError(f"{self._endpoint} gives back another {what} than the one that was just pushed.")

    def _delete(self) -> str:
        reply = self._ask("DELETE", self._manifest_path)
        if reply.status == http.client.METHOD_NOT_ALLOWED:
            return "deletion is off"
        if reply.status != http.client.ACCEPTED:
            raise RegistryError(f"{self._endpoint} answers {reply.fault} to the deletion of a manifest.")
        self.report.deleted = True
        return "deleted"

    def _ask(
        self,
        method: str,
        target: str,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
    ) -> Reply:
        return self.client.request(method, target, credentials=self.wanted.credentials, headers=headers, body=body)

    @property
    def _endpoint(self) -> Endpoint:
        return self.wanted.endpoint

    @property
    def _user(self) -> str:
        return self.wanted.credentials.username if self.wanted.credentials else ""

    @property
    def _manifest_path(self) -> str:
        return f"{BASE}{self.wanted.repository}/manifests/{digest_of(MANIFEST)}"


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_probe. Returns what was seen.

    :raises RegistryError: the first thing that is not as expected.
    """
    return {"changed": False, **asdict(Probe(parse_expectations(params, check_mode)).run())}
