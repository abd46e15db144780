# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of an S3 store, tried with the settings that a registry will have (registry/storage/driver/s3-aws)."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import require
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

ARGUMENTS: dict[str, Any] = {
    # Keeps the key in it out of the system's log.
    "settings": {"type": "dict", "required": True, "no_log": True},
    "ca_certificate": {"type": "str", "default": ""},
}
"""What modules that speak to a store take."""

_CONTENT = b"Written by stronghold.registry to prove this store, and removed at once.\n"
_MISSING = ("NoSuchBucket", "404")
_REMEDIES = {
    "InvalidAccessKeyId": "accesskey: the store does not know it",
    "SignatureDoesNotMatch": "secretkey: does not belong to the accesskey",
    "RequestTimeTooSkewed": "the clocks of this host and of the store are too far apart; have both keep time",
    "AuthorizationHeaderMalformed": "region: is not the bucket's",
    "PermanentRedirect": "region: is not the bucket's, or regionendpoint is another region's",
    "IllegalLocationConstraintException": "region: is not that of regionendpoint",
    "AccessDenied": "accesskey: this account may not do that",
    "403": "accesskey: this account may not do that",
    "InvalidBucketName": "bucket: is no name that a bucket may have",
}
"""What S3 answers with ("Error responses" of its API reference), and what that is about."""


def secret_values(settings: Mapping[str, Any]) -> set[str]:
    """What Ansible shall mask. With every setting masked, as no_log would, no error could be read."""
    secret = settings.get("secretkey")
    return {str(secret)} if secret else set()


def run(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module object_store: look, make the bucket where asked, write, read and delete an object.

    :raises RegistryError: what is wrong with the settings, the bucket or the way to it; never a key.
    """
    settings = params["settings"]
    bucket = settings.get("bucket")
    if not bucket:
        raise RegistryError("settings: bucket is missing; name the bucket that the registry shall keep its images in.")
    with connect(settings, params["ca_certificate"], params["timeout"]) as client:
        missing = _is_missing(client, bucket, settings)
        if missing and not params["create"]:
            raise RegistryError(f"bucket: '{bucket}' is not there at {place(settings)}; make it, or set create.")
        if missing and not check_mode:
            with _explained("make the bucket", settings):
                client.create_bucket(Bucket=bucket, **_location(settings))
        if not check_mode:
            _try(client, bucket, settings)
    return {
        "changed": missing,
        "reasons": [f"bucket: '{bucket}' is not there at {place(settings)}"] if missing else [],
        "bucket": bucket,
    }


@contextlib.contextmanager
def connect(settings: Mapping[str, Any], ca_certificate: str, timeout: float = 60.0) -> Iterator[Any]:
    """A client of boto3's with the settings of a registry. *timeout* in seconds is for each answer.

    :raises RegistryError: what went wrong with a request to it, inside the context as well.
    """
    session = require("boto3.session").Session()
    config = _config(settings, timeout)
    with contextlib.ExitStack() as stack:
        verify = stack.enter_context(_verification(settings, ca_certificate))
        stack.enter_context(_explained("reach it", settings))
        yield session.client(
            "s3",
            config=config,
            verify=verify,
            endpoint_url=endpoint(settings),
            region_name=settings.get("region"),
            aws_access_key_id=settings.get("accesskey"),
            aws_secret_access_key=settings.get("secretkey"),
        )


def _config(settings: Mapping[str, Any], timeout: float) -> Any:
    config = require("botocore.config").Config
    options = {
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "retries": {"max_attempts": 1},
        # A bucket at an address of one's own seldom has a name of its own.
        "s3": {"addressing_style": "path" if settings.get("regionendpoint") else "auto"},
    }
    checksums = ("request_checksum_calculation", "response_checksum_validation")
    try:
        # From 1.36 on it sends more checksums than the registry does, which not every store takes.
        return config(**options, **dict.fromkeys(checksums, "when_required"))
    except TypeError:
        return config(**options)


def endpoint(settings: Mapping[str, Any]) -> str | None:
    """The URL of the store; None is Amazon's own, of the region."""
    address = settings.get("regionendpoint")
    if not address or "://" in address:
        return address or None
    return f"{'https' if settings.get('secure', True) else 'http'}://{address}"


def place(settings: Mapping[str, Any]) -> str:
    """Where the store is, in words."""
    return endpoint(settings) or f"Amazon S3 in {settings.get('region')}"


@contextlib.contextmanager
def _verification(settings: Mapping[str, Any], ca_certificate: str) -> Iterator[bool | str]:
    """What boto3 verifies the store with: the system's CAs, and ours beside them."""
    if settings.get("skipverify", False):
        # Who asked for it knows.
        require("urllib3").disable_warnings()
        yield False
        return
    if not ca_certificate:
        yield True
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        system = ssl.get_default_verify_paths().cafile
        if system:
            with open(system, encoding="utf-8") as known:
                file.write(known.read())
        file.write(f"\n{ca_certificate}\n")
        file.flush()
        yield file.name


def _is_missing(client: Any, bucket: str, settings: Mapping[str, Any]) -> bool:
    errors = require("botocore.exceptions")
    try:
        # Other than that of a HEAD, its answer says what is wrong.
        client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except errors.ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return True
        raise _complaint("list the bucket", settings, error) from error
    return False


def _location(settings: Mapping[str, Any]) -> dict[str, Any]:
    # Only Amazon's own places a bucket by it, and there the first region is the one that must not be named.
    region = settings.get("region")
    if settings.get("regionendpoint") or region == "us-east-1":
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _try(client: Any, bucket: str, settings: Mapping[str, Any]) -> None:
    root = (settings.get("rootdirectory") or "").strip("/")
    key = f"{root}/.stronghold/{uuid.uuid4()}".lstrip("/")
    with _explained("write an object", settings):
        client.put_object(Bucket=bucket, Key=key, Body=_CONTENT)
    try:
        with _explained("read an object", settings):
            found = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    finally:
        with _explained("delete an object", settings):
            client.delete_object(Bucket=bucket, Key=key)
    if found != _CONTENT:
        raise RegistryError(f"bucket: '{bucket}' at {place(settings)} gives back something else than was put there.")


@contextlib.contextmanager
def _explained(what: str, settings: Mapping[str, Any]) -> Iterator[None]:
    errors = require("botocore.exceptions")
    try:
        yield
    except (errors.BotoCoreError, errors.ClientError, ValueError) as error:
        raise _complaint(what, settings, error) from error


def _complaint(what: str, settings: Mapping[str, Any], error: Exception) -> RegistryError:
    response = (getattr(error, "response", None) or {}).get("Error", {})
    said = explain(str(response.get("Code", "")), str(response.get("Message", "")) or f"{error}")
    return RegistryError(f"The object store at {place(settings)}: can't {what}. {said}.")


def explain(code: str, message: str) -> str:
    """What an answer of the store is about, by its error code, with its own words."""
    words = message.strip().rstrip(".")
    if code in _REMEDIES:
        return f"{_REMEDIES[code]} ({code}: {words})"
    return f"{code}: {words}" if code else words
