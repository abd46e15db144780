# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the distribution protocol (OCI distribution-spec 1.1), with the standard library only.

It judges a certificate as Go does, and so the engines: any certificate given is an anchor, even that of an
intermediate CA; only subject alternative names count; TLS is 1.2 or newer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote, urljoin, urlsplit

from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import load_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

PATIENCE = 30.0
"""Seconds for a single request to a service that has answered before."""

_PAUSES = (0.1, 2.0)
_PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN; in ssl from Python 3.10 on
_STRICT = 0x20  # X509_V_FLAG_X509_STRICT; on by default from Python 3.13 on
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID = 10, 9
_WITHOUT_ISSUER = frozenset({18, 19, 20, 21})
_MISMATCHES = frozenset({62, 64})
_REFUSED_CLIENT = re.compile(r"ALERT_(BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_\w+)")


class UnavailableError(RegistryError):
    """The service cannot be reached, or not yet."""


@dataclass(frozen=True)
class Endpoint:
    """Where a registry is: the name that its certificate bears, perhaps with another address.

    Where it asks its clients for a certificate, the PEM texts of one with its chain and of its key.
    """

    host: str
    port: int = 5000
    tls: bool = True
    ca_certificate: str = field(default="", repr=False)
    address: str = ""
    client_certificate: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    def __str__(self) -> str:
        return f"{self.authority} (at {self.address})" if self.address else self.authority


@dataclass(frozen=True)
class Served:
    """What the TLS handshake showed."""

    fingerprint: str
    not_after: int
    tls_version: str


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def header(self, name: str) -> Optional[str]:
        return self.headers.get(name.lower())

    @property
    def fault(self) -> str:
        """The status, with the code and cause that the registry gives in JSON."""
        return f"{self.status}{_fault(self.body)}"


def _fault(body: bytes) -> str:
    try:
        error = json.loads(body)["errors"][0]
        code, message, detail = error["code"], error.get("message", ""), error.get("detail")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    cause = _system_error(detail)
    return f" {code}" + (f", {cause}" if cause else f", {message}" if message else "")


def _system_error(detail: object) -> str:
    """The words for an error number of the operating system, as a storage driver encloses it."""
    enclosed = detail.get("Enclosed") if isinstance(detail, dict) else None
    number = enclosed.get("Err") if isinstance(enclosed, dict) else None
    return f"the storage says: {os.strerror(number)}" if isinstance(number, int) else ""


@dataclass(frozen=True)
class Credentials:
    """A user of the registry."""

    username: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True)
class Challenge:
    """A ``WWW-Authenticate`` header (RFC 9110, 11.6.1), its first challenge."""

    scheme: str = ""
    realm: Optional[str] = None


def parse_challenge(header: Optional[str]) -> Challenge:
    """The scheme in lower case, and the realm; quoted pairs undone."""
    scheme, parameters = f"{(header or '').strip()} ".split(" ", maxsplit=1)
    match = re.search(r'(?:^|[\s,])realm\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', parameters, re.IGNORECASE)
    realm = None
    if match:
        realm = re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2]
    return Challenge(scheme=scheme.lower(), realm=realm)


def _read(response: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def completed_upload(location: str, digest: str) -> str:
    """The URL that ends an upload: the session's own, which may have a query already, with the digest."""
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    return parts._replace(query=f"{query}digest={quote(digest, safe='')}", fragment="").geturl()


class _Connection(http.client.HTTPConnection):
    """A connection to an endpoint's address; SNI, the check of the certificate and Host go by its name."""

    def __init__(self, endpoint: Endpoint, context: Optional[ssl.SSLContext], timeout: float) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=timeout)
        self.default_port = http.client.HTTPS_PORT if endpoint.tls else http.client.HTTP_PORT
        self.endpoint = endpoint
        self.context = context

    def connect(self) -> None:
        self.sock = _connected(self.endpoint, self.timeout or PATIENCE)
        if self.context is not None:
            self.sock = _secured(self.sock, self.endpoint, self.context)


def _connected(endpoint: Endpoint, timeout: float) -> socket.socket:
    return socket.create_connection((endpoint.address or endpoint.host, endpoint.port), timeout)


def _secured(sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(sock, server_hostname=endpoint.host)
    except BaseException:
        sock.close()
        raise


def trust(ca_certificate: str) -> ssl.SSLContext:
    """What is trusted: the certificates of a PEM text, or the system's where it is empty.

    :raises RegistryError: the text has no certificate.
    """
    # Between certificates there may be comments, in any language.
    pem = ca_certificate.strip().encode("ascii", "replace").decode("ascii")
    try:
        context = ssl.create_default_context(cadata=pem or None)
    except (ssl.SSLError, ValueError) as error:
        raise RegistryError("ca_certificate: is no certificate in PEM; give the CA's text, not its path.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags = ssl.VerifyFlags((context.verify_flags | _PARTIAL_CHAIN) & ~_STRICT)
    return context


class Client:
    """Speaks to one registry, with a new connection for each request: a refusal may spoil one."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.served: Optional[Served] = None
        self._context = trust(endpoint.ca_certificate) if endpoint.tls else None
        if self._context is not None and endpoint.client_certificate:
            load_client_pair(self._context, endpoint.client_certificate, endpoint.client_key)

    def reach(self, path: str) -> Reply:
        """The first answer of a service that may only be starting: refused, reset and 503 are tried again.

        :raises RegistryError: nothing came within the timeout, or from one that is not to be trusted.
        """
        deadline = time.monotonic() + self.timeout
        pause, longest = _PAUSES
        while True:
            try:
                return self._available(path, max(deadline - time.monotonic(), pause))
            except UnavailableError:
                if time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    def _available(self, path: str, patience: float) -> Reply:
        reply = self.request("GET", path, patience=patience)
        if reply.status == http.client.SERVICE_UNAVAILABLE:
            raise UnavailableError(f"{self.endpoint} answers {reply.fault}: its storage is not in order.")
        return reply

    def request(
        self,
        method: str,
        target: str,
        *,
        credentials: Optional[Credentials] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
        patience: float = PATIENCE,
    ) -> Reply:
        """Ask for a path, or for a URL that the registry named. Redirections are not followed.

        :raises UnavailableError: no answer.
        :raises RegistryError: an untrusted one, or no HTTP.
        """
        sent = {"Connection": "close", **(headers or {})}
        if credentials is not None:
            sent["Authorization"] = credentials.header
        connection = _Connection(self.endpoint, self._context, patience)
        try:
            connection.request(method, self._path(target), body=body, headers=sent)
            self._look_at(connection.sock)
            reply = _read(connection.getresponse())
        except ssl.SSLCertVerificationError as error:
            raise RegistryError(self._untrusted(error)) from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise UnavailableError(f"{self.endpoint} hangs up in the TLS handshake.") from error
        except ssl.SSLError as error:
            raise RegistryError(self._no_tls(error)) from error
        except OSError as error:
            raise self._unreachable(error) from error
        except http.client.HTTPException as error:
            raise RegistryError(self._no_http()) from error
        finally:
            connection.close()
        if not self.endpoint.tls and reply.status == http.client.BAD_REQUEST and self._speaks_tls():
            raise RegistryError(self._no_http())
        return reply

    def upload_location(self, reply: Reply, requested: str) -> str:
        """Where an upload goes on, relative locations resolved.

        :raises RegistryError: nowhere, or away from the endpoint, where the credentials must not follow.
        """
        location = reply.header("location")
        if not location:
            raise RegistryError(f"{self.endpoint} begins an upload without saying where (no Location header).")
        url = urljoin(self.endpoint.url + requested, location)
        if not self._is_ours(url):
            parts = urlsplit(url)
            raise RegistryError(
                f"{self.endpoint} sends its clients to {parts.scheme}://{parts.netloc} for an upload, "
                f"not to {self.endpoint.url}: set http.host or http.relativeurls in its configuration, "
                "or have the proxy before it send Host and X-Forwarded-Proto."
            )
        return url

    def follow(self, reply: Reply, requested: str) -> Reply:
        """Get what a redirection names, without credentials, and trusting the system's CAs too."""
        url = urljoin(self.endpoint.url + requested, reply.header("location") or "")
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        port = parts.port or (http.client.HTTPS_PORT if tls else http.client.HTTP_PORT)
        there = Client(Endpoint(parts.hostname or "", port, tls, self.endpoint.ca_certificate), self.timeout)
        if there._context is not None:
            there._context.load_default_certs()
        return there.request("GET", url)

    def _path(self, target: str) -> str:
        parts = urlsplit(target)
        return parts._replace(scheme="", netloc="").geturl()

    def _is_ours(self, url: str) -> bool:
        theirs, ours = urlsplit(url), urlsplit(self.endpoint.url)
        default = http.client.HTTPS_PORT if ours.scheme == "https" else http.client.HTTP_PORT
        return (theirs.scheme, theirs.hostname, theirs.port or default) == (
            ours.scheme,
            ours.hostname,
            ours.port,
        )

    def _look_at(self, sock: Optional[socket.socket]) -> None:
        if self.served is None and isinstance(sock, ssl.SSLSocket):
            certificate = sock.getpeercert() or {}
            self.served = Served(
                fingerprint=hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest(),
                not_after=int(ssl.cert_time_to_seconds(str(certificate["notAfter"]))),
                tls_version=sock.version() or "",
            )

    def _unreachable(self, error: OSError) -> RegistryError:
        if isinstance(error, socket.gaierror):
            name = self.endpoint.address or self.endpoint.host
            return RegistryError(f"The name {name} does not resolve ({error.strerror}): mend DNS or /etc/hosts.")
        if isinstance(error, ConnectionRefusedError):
            return UnavailableError(f"Nothing listens on {self.endpoint} (connection refused).")
        if isinstance(error, (socket.timeout, TimeoutError)):
            return UnavailableError(f"{self.endpoint} does not answer in time; is a firewall in between?")
        if isinstance(error, ConnectionError):
            return UnavailableError(f"{self.endpoint} hangs up without an answer.")
        return UnavailableError(f"{self.endpoint} cannot be reached: {error.strerror or error}.")

    # What follows finds out what is wrong, once something is, and opens connections of its own for it.

    def served_fingerprint(self) -> Optional[str]:
        """The SHA-256 of the served certificate, trusted or not."""
        with contextlib.suppress(OSError), self._handshake(_blind()) as sock:
            return hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        return None

    def _handshake(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        return _secured(_connected(self.endpoint, PATIENCE), self.endpoint, context)

    def _speaks_tls(self) -> bool:
        with contextlib.suppress(OSError), self._handshake(_blind()):
            return True
        return False

    def _speaks_http(self) -> bool:
        connection = _Connection(self.endpoint, None, PATIENCE)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/v2/")
            return connection.getresponse().status != http.client.BAD_REQUEST
        return False

    def _no_http(self) -> str:
        if self._speaks_tls():
            return f"{self.endpoint} speaks HTTPS, not HTTP: set security to tls."
        return f"{self.endpoint} does not speak HTTP: another program listens there."

    def _no_tls(self, error: ssl.SSLError) -> str:
        if self._speaks_http():
            return (
                f"{self.endpoint} speaks HTTP, not HTTPS: give the registry a certificate, or set security to insecure."
            )
        if _REFUSED_CLIENT.search(error.reason or ""):
            given = "does not accept client_certificate" if self.endpoint.client_certificate else "got none"
            return f"{self.endpoint} asks its clients for a certificate and {given} ({error.reason})."
        return f"{self.endpoint} fails in the TLS handshake ({error.reason}); it takes TLS 1.2 or newer."

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> str:
        certificate = f"The certificate of {self.endpoint}"
        if error.verify_code in _WITHOUT_ISSUER:
            anchor = "the given CA" if self.endpoint.ca_certificate.strip() else "a CA of this system"
            return f"{certificate} is not signed by {anchor} ({error.verify_message})."
        facts = self._facts()
        if error.verify_code in _MISMATCHES:
            names = ", ".join(f"{kind}:{name}" for kind, name in facts.get("subjectAltName", ()))
            return f"{certificate} is not for {self.endpoint.host}: it names {names or 'no host at all'}."
        if error.verify_code == _CERTIFICATE_EXPIRED:
            return f"{certificate} has expired, or a CA above it ({_until(facts, 'notAfter')}): renew it."
        if error.verify_code == _CERTIFICATE_NOT_YET_VALID:
            return f"{certificate} is not valid yet ({_until(facts, 'notBefore')}): compare the clocks."
        return f"{certificate} is not accepted: {error.verify_message}."

    def _facts(self) -> dict[str, Any]:
        """The certificate's facts; Python tells them of a verified one only: all but name and time is."""
        context = trust(self.endpoint.ca_certificate)
        context.check_hostname = False
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
        with contextlib.suppress(OSError), self._handshake(context) as sock:
            return dict(sock.getpeercert() or {})
        return {}


def _blind() -> ssl.SSLContext:
    """Looks without trust: nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _until(facts: Mapping[str, Any], key: str) -> str:
    return f"{key} {facts[key]}" if key in facts else "its dates could not be read"
