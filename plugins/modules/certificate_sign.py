# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate_sign: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_sign
short_description: Have a CA issue a certificate for a key on another host
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Issues a certificate for the key of a request, on the host that has the CA. No file is written.
  - Of the request only the key is taken, and that whoever made it has that key. The names, the subject and the
    lifetime are those of the options, so that a host cannot ask for a certificate of another.
extends_documentation_fragment:
  - stronghold.registry.attributes
requirements:
  - cryptography 38 or newer
seealso:
  - module: stronghold.registry.certificate
options:
  request:
    description:
      - The request (PKCS#10) as PEM text, as M(stronghold.registry.certificate) returns it.
    type: str
    required: true
  ca_path:
    description:
      - The certificate of the CA, in PEM.
    type: path
    required: true
  ca_privatekey_path:
    description:
      - The private key of the CA, in PEM.
    type: path
    required: true
  ca_privatekey_passphrase:
    description:
      - The passphrase of that key.
    type: str
  subject:
    description:
      - The subject, as in M(stronghold.registry.certificate). Without one, the first name is its C(CN).
    type: dict
    default: {}
  names:
    description:
      - The names and addresses of the server, its subject alternative names.
    type: list
    elements: str
    required: true
  days:
    description:
      - How many days the certificate is valid, from V(1) to V(36500). It never outlives the CA.
    type: int
    default: 397
  renew_before:
    description:
      - How many days before its end the certificate will be renewed. A CA that ends within these signs nothing more.
    type: int
    default: 30
attributes:
  check_mode:
    description: Issues nothing that is kept, so it does the same in check mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Sign the request of another host
  stronghold.registry.certificate_sign:
    request: "{{ asked.request }}"
    ca_path: /srv/ca/ca.crt
    ca_privatekey_path: /srv/ca/ca.key
    names: [registry.lab]
  delegate_to: ca.registry.lab
  register: signed
"""

RETURN = r"""
certificate:
  description: The certificate as PEM text.
  type: str
  returned: success
fingerprint:
  description: SHA-256 of the certificate, in lower-case hexadecimal.
  type: str
  returned: success
not_before:
  description: When it begins to be valid, in UTC.
  type: str
  returned: success
not_after:
  description: When it expires, in UTC.
  type: str
  returned: success
days_left:
  description: Whole days until it expires.
  type: int
  returned: success
serial:
  description: The serial number, in lower-case hexadecimal.
  type: str
  returned: success
subject:
  description: The subject.
  type: str
  returned: success
issuer:
  description: The issuer.
  type: str
  returned: success
names:
  description: The subject alternative names.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _certificate_request, _x509
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "request": {"type": "str", "required": True},
    "ca_path": {"type": "path", "required": True},
    "ca_privatekey_path": {"type": "path", "required": True},
    **{
        name: _certificate_request.ARGUMENTS[name]
        for name in ("ca_privatekey_passphrase", "subject", "days", "renew_before")
    },
    "names": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _x509.sign(module.params))


if __name__ == "__main__":
    main()
