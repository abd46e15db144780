# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules that speak to a registry have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description:
      - Name or address of the registry, as its clients write it. The certificate has to be for it.
    type: str
    required: true
  port:
    description:
      - Port of the registry.
    type: int
    default: 5000
  address:
    description:
      - Connect to this name or address, whatever O(host) resolves to. All else goes by O(host).
      - For a server that asks itself, or one of several behind a load balancer.
    type: str
  security:
    description:
      - V(tls) demands TLS 1.2 or newer and a certificate that is valid, V(insecure) plain HTTP.
    type: str
    choices: [tls, insecure]
    default: tls
  ca_certificate:
    description:
      - The CA certificate to trust, as PEM text, or several. When empty, the CAs of the system are trusted.
    type: str
  client_certificate:
    description:
      - The certificate, with its chain, by which this host proves itself to a registry that asks for one, as
        text in PEM. Give O(client_key) too.
      - It is public, but masked in the module's output, so that a private key that is passed by mistake is
        not shown.
    type: str
    default: ""
  client_key:
    description:
      - The private key of O(client_certificate), unencrypted, as text in PEM. It is written nowhere.
    type: str
    default: ""
  username:
    description:
      - The user. Give O(password) too.
    type: str
  password:
    description:
      - Password of the user.
    type: str
  timeout:
    description:
      - Seconds in which the registry has to be reached. What follows has 30 seconds for each request.
    type: int
    default: 30
"""
