# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory certs.d, which Docker and the libraries of Podman read alike, at each request.

registry/registry.go of moby (HostCertsDir, ReadCertsDirectory), containers-certs.d(5).
"""

from __future__ import annotations

import os

from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import render_anchor
from ansible_collections.stronghold.registry.plugins.module_utils._trust_desired import ABSENT, INSECURE, Desired
from ansible_collections.stronghold.registry.plugins.module_utils._trust_files import (
    CERTIFICATES,
    PRIVATE_KEY,
    File,
    Step,
    foreign_files,
    plan_emptied,
    plan_files,
    plan_opening,
)

ANCHOR_NAME = "ca.crt"
# A pair has one name, and others may have put theirs there: this is not a likely one.
CERTIFICATE_NAME, KEY_NAME = "stronghold.cert", "stronghold.key"


def certs_files(directory: str, desired: Desired) -> list[File]:
    """The files below a registry's directory in certs.d, as they shall be."""
    anchor = client = key = None
    if desired.trust not in (ABSENT, INSECURE):
        anchor = render_anchor(desired.anchor) or None
    if desired.client:
        client, key = desired.client.certificate.encode(), desired.client.key.encode()
    # At no moment is there a certificate without its key, which breaks the host.
    pair = [
        File(os.path.join(directory, KEY_NAME), PRIVATE_KEY, key, mode=0o600),
        File(os.path.join(directory, CERTIFICATE_NAME), CERTIFICATES, client),
    ]
    anchor_file = File(os.path.join(directory, ANCHOR_NAME), CERTIFICATES, anchor)
    return [anchor_file, *(pair if desired.client else reversed(pair))]


def plan_certs(certs: str, desired: Desired) -> tuple[list[Step], tuple[str, ...]]:
    """What has to be done below certs.d, and the files in the registry's directory that are not ours.

    :raises RegistryError: somebody else's file is in the place of one of ours, and *force* is not set.
    """
    directory = os.path.join(certs, desired.registry)
    files = certs_files(directory, desired)
    steps = plan_files(files, force=desired.force)
    if any(file.content is not None for file in files):
        steps += plan_opening(certs, directory)
    steps += plan_emptied(directory, files, certs)
    return steps, foreign_files(directory, files)


def trust_files(certs: str, desired: Desired) -> list[str]:
    directory = os.path.join(certs, desired.registry)
    return [file.path for file in certs_files(directory, desired) if file.content is not None]
