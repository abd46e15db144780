# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate and key by which a client proves itself to a registry, with the standard library only."""

from __future__ import annotations

import os
import ssl

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import parse_anchor

_MISMATCHES = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""What OpenSSL says of a key of the same kind as the certificate's, and of another kind."""


def check_client_pair(certificate: str, key: str) -> None:
    """Check the parameters ``client_certificate``, a certificate with its chain, and ``client_key``, both PEM texts.

    :raises RegistryError: one is missing or cannot be read, or they do not belong together.
    """
    if not certificate.strip() or not key.strip():
        raise RegistryError("client_certificate and client_key: give both or none.")
    parse_anchor(certificate, "client_certificate")
    load_client_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)


def load_client_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have connections of *context* prove themselves so.

    :raises RegistryError: the key cannot be read, or is another certificate's.
    """
    # OpenSSL reads them from a file only; this one is in memory and has no name that others could open.
    with os.fdopen(os.memfd_create("client"), "wb") as stream:
        stream.write(f"{certificate}\n{key}\n".encode("ascii", "replace"))
        stream.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{stream.fileno()}", password=_refuse_passphrase)
        except ssl.SSLError as error:
            if error.reason in _MISMATCHES:
                raise RegistryError("client_key: it is not the key of client_certificate.") from error
            raise RegistryError(
                f"client_key: it is no private key in PEM that can be used here ({error.reason or 'none is found'}); "
                "give it whole, as its file has it."
            ) from error


def _refuse_passphrase() -> str:
    raise RegistryError("client_key: it is encrypted; give it without a passphrase.")
