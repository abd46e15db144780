# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
short_description: Say what a certificate says and what is wrong with it
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Reads a certificate and the chain below it from a file, a PEM text or a live server, without trusting it.
  - Says what is in it, and what a client would stumble over. Only a source that cannot be read is an error.
extends_documentation_fragment:
  - stronghold.registry.attributes
requirements:
  - cryptography 38 or newer
seealso:
  - module: stronghold.registry.certificate
  - plugin: stronghold.registry.certificate_problems
    plugin_type: filter
options:
  path:
    description:
      - A file with the certificate in PEM, and its chain below it.
      - Exactly one of O(path), O(content) and O(host) is needed.
    type: path
  content:
    description:
      - The same as text.
    type: str
  host:
    description:
      - Name or address of a TLS server. What it shows is read without trust, and nothing is sent to it.
      - Python 3.9 sees the first certificate only, without the chain.
    type: str
  port:
    description:
      - Port of the server.
    type: int
    default: 443
  timeout:
    description:
      - How many seconds the server has to answer.
    type: int
    default: 10
  names:
    description:
      - Names and addresses that the certificate shall cover. With O(host), default is that host.
    type: list
    elements: str
    default: []
  privatekey_path:
    description:
      - A file with a private key that is held against the certificate.
    type: path
  privatekey_content:
    description:
      - The same as text.
    type: str
  privatekey_passphrase:
    description:
      - The passphrase of the private key.
    type: str
  ca_path:
    description:
      - A file with trust anchors in PEM. The certificate has to lead to one of them, over the chain below it.
    type: path
  ca_content:
    description:
      - The same as text.
    type: str
attributes:
  check_mode:
    description: Reads only, so there is no difference.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Look at what the registry shows
  stronghold.registry.certificate_info:
    host: registry.lab
    ca_path: /etc/docker/certs.d/registry.lab/ca.crt
  register: shown

- name: Fail when something is wrong with it
  ansible.builtin.assert:
    that: shown.problems | length == 0
    fail_msg: "{{ shown.problems | join(' ') }}"
"""

RETURN = r"""
names:
  description: The subject alternative names. One that the option O(names) would read otherwise has its kind before it.
  type: list
  elements: str
  returned: success
  sample: [registry.lab, 192.0.2.10]
subject:
  description: The subject.
  type: str
  returned: success
  sample: "CN=registry.lab, O=Example"
issuer:
  description: The issuer.
  type: str
  returned: success
  sample: "CN=Registry CA, O=Example"
fingerprint:
  description: SHA-256 of the certificate, in lower-case hexadecimal.
  type: str
  returned: success
serial:
  description: The serial number, in lower-case hexadecimal.
  type: str
  returned: success
not_before:
  description: When it begins to be valid, in UTC.
  type: str
  returned: success
  sample: "2026-11-23T11:00:00Z"
not_after:
  description: When it expires, in UTC.
  type: str
  returned: success
  sample: "2027-12-25T12:00:00Z"
days_left:
  description: Whole days until it expires, negative once it has.
  type: int
  returned: success
  sample: 396
is_ca:
  description: Whether it may sign others.
  type: bool
  returned: success
key:
  description: What sort of key it is for, with C(type) and C(size) in bits.
  type: dict
  returned: success
  sample: {type: ecdsa, size: 256}
chain:
  description: The certificates below it, with the same values each from RV(names) to RV(key).
  type: list
  elements: dict
  returned: success
key_matches:
  description: Whether the private key is that of the certificate. Null when none was given.
  type: bool
  returned: success
problems:
  description: What is wrong, a sentence each. Empty when all is well.
  type: list
  elements: str
  returned: success
  sample: ["The certificate expired on 2026-01-01T00:00:00Z."]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _certificate_source
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "path": {"type": "path"},
    "content": {"type": "str"},
    "host": {"type": "str"},
    "port": {"type": "int", "default": 443},
    "timeout": {"type": "int", "default": 10},
    "names": {"type": "list", "elements": "str", "default": []},
    "privatekey_path": {"type": "path"},
    "privatekey_content": {"type": "str", "no_log": True},
    "privatekey_passphrase": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
    "ca_content": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        required_one_of=[("path", "content", "host")],
        mutually_exclusive=[
            ("path", "content", "host"),
            ("privatekey_path", "privatekey_content"),
            ("ca_path", "ca_content"),
        ],
    )
    conclude(module, lambda: _certificate_source.run(module.params))


if __name__ == "__main__":
    main()
