# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_probe: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_probe
short_description: Prove that a registry serves as expected
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Behaves as a client of the registry would, from the host that it runs on. It needs no container engine.
  - Connects, verifies the certificate, asks without credentials, with a wrong password and with the right one.
    Pushes the smallest artifact of OCI, pulls it by digest, compares, and deletes it where that is allowed.
  - Returns what it saw. Anything but what is expected fails, with one sentence on what is wrong.
  - A registry that refuses connections, hangs up or answers 503 is asked again until O(timeout) is over.
    Wrong answers are final.
extends_documentation_fragment:
  - stronghold.registry.connection
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Does the same, without the push and what follows it.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
options:
  fingerprint:
    description:
      - SHA-256 of the certificate that has to be served, in hexadecimal digits, with or without colons.
      - A registry serves a renewed certificate only after a restart, which this proves.
    type: str
  anonymous:
    description:
      - What a client without credentials has to find.
      - Default is V(refused) with O(username), and V(any) without.
    type: str
    choices: [refused, allowed, any]
  push:
    description:
      - Push and pull an artifact of two bytes, and delete it. Needs credentials, or a registry that is open to all.
      - The push proves the password, which is then not asked for apart.
    type: bool
    default: true
  delete:
    description:
      - Ask for the deletion of the artifact. Where the registry's deletion is known to be off, V(false) spares
        a request.
    type: bool
    default: true
  repository:
    description:
      - Where the artifact is pushed to. It bears no tag.
      - Its bytes are always the same, so where deletion is off any number of probes leaves one manifest.
    type: str
    default: stronghold/probe
"""

EXAMPLES = r"""
- name: Prove that the registry serves its renewed certificate to its users and to nobody else
  stronghold.registry.registry_probe:
    host: registry.example.com
    ca_certificate: "{{ registry_ca_certificate }}"
    fingerprint: "{{ registry_certificate.fingerprint }}"
    username: moby
    password: "{{ vault_moby_password }}"
  register: probe

- name: Wait for the registry on this host
  stronghold.registry.registry_probe:
    host: registry.example.com
    address: 127.0.0.1
    ca_certificate: "{{ registry_ca_certificate }}"
    push: false
    timeout: 120
"""

RETURN = r"""
api_version:
  description: The API's version, as the registry states it.
  type: str
  returned: success
  sample: registry/2.0
realm:
  description: The realm of the registry's demand for a password. Null when it makes none.
  type: str
  returned: success
  sample: registry.example.com
anonymous:
  description: What a client without credentials found, V(refused) or V(allowed).
  type: str
  returned: success
  sample: refused
fingerprint:
  description: SHA-256 of the certificate served, in lower case and without colons. Null without TLS.
  type: str
  returned: success
  sample: 5f2b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
not_after:
  description: When the certificate expires, in UTC. Null without TLS.
  type: str
  returned: success
  sample: "2027-06-30T12:00:00Z"
days_left:
  description: Whole days until then. Null without TLS.
  type: int
  returned: success
  sample: 396
tls_version:
  description: The version of TLS that was agreed on. Null without TLS.
  type: str
  returned: success
  sample: TLSv1.3
pushed:
  description: Digest of the manifest that was pushed and pulled. Null when none was.
  type: str
  returned: success
  sample: sha256:8f5b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
deleted:
  description: Whether the manifest was deleted again. False where deletion is off.
  type: bool
  returned: success
  sample: true
steps:
  description:
    - What was done, in the order in which it ended, with what was seen and how long it took.
    - The wrong password is tried while the rest goes on.
  type: list
  elements: dict
  returned: success
  sample:
    - step: reach
      seen: 401, realm registry.example.com
      seconds: 0.014
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _connection, _probe
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    **_connection.ARGUMENTS,
    "fingerprint": {"type": "str"},
    "anonymous": {"type": "str", "choices": ["refused", "allowed", "any"]},
    "push": {"type": "bool", "default": True},
    "delete": {"type": "bool", "default": True},
    "repository": {"type": "str", "default": "stronghold/probe"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _probe.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
