# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Manage a private key and its X.509 certificate
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Makes a private key and a certificate for it in one task. The certificate is a CA, signed by a CA, or self-signed.
  - Both are made anew only for a reason, which is returned in words. A key that is as asked for is kept.
  - Where the key of the CA is on another host, give O(ca_content), have RV(request) signed there by
    M(stronghold.registry.certificate_sign), and give what it returns as O(issued_content) to a second task with the
    same options. No private key leaves its host.
  - Go, so Docker, and Python with strict verification accept the certificates.
requirements:
  - cryptography 38 or newer
extends_documentation_fragment:
  - stronghold.registry.files
  - stronghold.registry.attributes
seealso:
  - module: stronghold.registry.certificate_info
  - module: stronghold.registry.certificate_sign
  - plugin: stronghold.registry.certificate_parameter_problems
    plugin_type: filter
options:
  path:
    description:
      - The file of the certificate, in PEM.
    type: path
    required: true
  privatekey_path:
    description:
      - The file of the private key, in PEM (PKCS#8). A key that is there is kept when it is of the kind asked for.
    type: path
    required: true
  privatekey_passphrase:
    description:
      - Encrypts the private key. A key that is not encrypted yet is kept, and its file is written anew.
      - A passphrase that is to change or to go cannot be told from a wrong one, so it is an error without O(force).
      - The registry cannot read an encrypted key. This is for keys of a CA.
    type: str
  state:
    description:
      - Whether there shall be a key and a certificate. With V(absent) both are removed.
    type: str
    choices: [present, absent]
    default: present
  usage:
    description:
      - V(server) is a certificate for a TLS server, V(ca) one that signs others. A CA is always self-signed.
    type: str
    choices: [server, ca]
    default: server
  ca_path:
    description:
      - The certificate of the CA that shall sign. Further certificates may follow it in the file.
      - Without it the certificate is self-signed, and clients have to trust it itself.
      - In check mode the CA may be missing, since a task before this one may be about to make it.
    type: path
  ca_privatekey_path:
    description:
      - The private key of the CA. It is needed with O(ca_path).
    type: path
  ca_privatekey_passphrase:
    description:
      - The passphrase of the private key of the CA.
    type: str
  ca_content:
    description:
      - The certificate of a CA whose key is on another host, as PEM text. Further certificates may follow it.
      - When a certificate is due, this module makes what RV(request) returns, and writes the certificate once it has
        O(issued_content). Until then the present key and certificate stay. A new key waits in a file of its own, with
        C(.next) appended to the name of the private key's.
    type: str
  issued_content:
    description:
      - The certificate that the CA of O(ca_content) issued for RV(request), as PEM text.
      - It is looked at only when a certificate is due.
    type: str
  ca:
    description:
      - Makes or renews the CA of O(ca_path) as well, before it signs, as a task of its own with O(usage=ca) would.
      - Its files belong to the user that runs the module, and only that one can read the key.
      - A CA that stays is not touched by O(force), nor removed by O(state=absent).
    type: dict
    suboptions:
      key_type:
        description:
          - The type of the CA's private key.
        type: str
        choices: [ecdsa, rsa]
        default: ecdsa
      key_size:
        description:
          - Its size in bits.
        type: int
      subject:
        description:
          - The subject of the CA.
        type: dict
        required: true
      days:
        description:
          - How many days a new CA is valid.
        type: int
        default: 3650
      renew_before:
        description:
          - The CA is renewed, with the same key, when it has fewer days left than this. Certificates do not outlive
            their CA, so make it more than O(days).
        type: int
        default: 400
  ca_stays:
    description:
      - Whether to fail where the CA of O(ca) is not there, or would get another key or subject. Whoever trusts it would
        be cut off. It is still renewed with its key.
    type: bool
    default: false
  key_type:
    description:
      - The type of the private key. V(ecdsa) costs a server a small part of what V(rsa) does at each connection.
    type: str
    choices: [ecdsa, rsa]
    default: ecdsa
  key_size:
    description:
      - Size of the private key in bits. V(256), V(384) or V(521) for ECDSA, V(2048) to V(8192) for RSA.
      - Default is V(256) for ECDSA and V(4096) for RSA.
    type: int
  subject:
    description:
      - The subject, with the keys C(CN), C(C), C(ST), C(L), C(O), C(OU) and C(emailAddress), in the order wanted.
      - A server without a subject has its first name as C(CN). A CA needs a subject.
    type: dict
    default: {}
  names:
    description:
      - The names and addresses of the server, its subject alternative names. Clients look at nothing else.
      - DNS names, wildcards such as V(*.registry.lab), IPv4 and IPv6 addresses. C(DNS:) or C(IP:) may precede them.
      - A server needs one at least, and a CA has none.
    type: list
    elements: str
    default: []
  days:
    description:
      - How many days a new certificate is valid, from V(1) to V(36500). Some clients accept V(398) at most.
      - A certificate never outlives the CA that signs it. The module warns when it is shorter for that reason.
      - A certificate that is there is not made anew because of another lifetime.
    type: int
    default: 397
  renew_before:
    description:
      - The certificate is made anew when it has fewer days left than this. Smaller than O(days).
    type: int
    default: 30
  force:
    description:
      - Make key and certificate anew at every run, also over files that cannot be read.
    type: bool
    default: false
  chain:
    description:
      - Write the certificates of O(ca_path) below the certificate. Clients that trust only the CA's issuer need them.
    type: bool
    default: false
  mode:
    description:
      - Octal permissions of the certificate, as a string.
    type: raw
    default: '0644'
  privatekey_mode:
    description:
      - Octal permissions of the private key, as a string. Its owner and group are those of the certificate.
    type: raw
    default: '0600'
"""

EXAMPLES = r"""
- name: Make a CA
  stronghold.registry.certificate:
    path: /srv/ca/ca.crt
    privatekey_path: /srv/ca/ca.key
    usage: ca
    subject:
      CN: Registry CA
      O: Example
    days: 3650
    renew_before: 400

- name: Make a certificate for the registry, signed by the CA
  stronghold.registry.certificate:
    path: /srv/registry/certs/registry.crt
    privatekey_path: /srv/registry/certs/registry.key
    ca_path: /srv/ca/ca.crt
    ca_privatekey_path: /srv/ca/ca.key
    names: [registry.lab, 192.0.2.10]
    owner: "65532"

- name: Make both in one task, which a run over many hosts does faster
  stronghold.registry.certificate:
    path: /srv/registry/certs/registry.crt
    privatekey_path: /srv/registry/certs/registry.key
    ca_path: /srv/ca/ca.crt
    ca_privatekey_path: /srv/ca/ca.key
    ca:
      subject:
        CN: Registry CA
    names: [registry.lab, 192.0.2.10]

- name: Ask the CA of another host for a certificate
  stronghold.registry.certificate: &replica
    path: /srv/registry/certs/registry.crt
    privatekey_path: /srv/registry/certs/registry.key
    ca_content: "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
    names: [registry.lab]
  register: asked

- name: Have it signed there
  stronghold.registry.certificate_sign:
    request: "{{ asked.request }}"
    ca_path: /srv/ca/ca.crt
    ca_privatekey_path: /srv/ca/ca.key
    names: [registry.lab]
  delegate_to: ca.registry.lab
  register: signed
  when: asked.request

- name: Put it in place
  stronghold.registry.certificate:
    <<: *replica
    issued_content: "{{ signed.certificate }}"
  when: asked.request

- name: Make a certificate that clients trust by itself
  stronghold.registry.certificate:
    path: /srv/registry/certs/registry.crt
    privatekey_path: /srv/registry/certs/registry.key
    names: [registry.lab]
"""

RETURN = r"""
filename:
  description: The file of the certificate.
  type: str
  returned: always
reasons:
  description: Why key, certificate or their files have to change, a sentence each. Empty when they have not.
  type: list
  elements: str
  returned: always
  sample: ["SAN lacks DNS:registry.lab", "expires in 5 days, renewal is due 30 days before"]
certificate:
  description:
    - All of the certificate's file as PEM text.
    - Null when there is none, or in check mode when a new one is to be made; likewise what a run decides below.
  type: str
  returned: always
fingerprint:
  description: SHA-256 of the certificate, in lower-case hexadecimal.
  type: str
  returned: always
not_before:
  description: When it begins to be valid, in UTC.
  type: str
  returned: always
  sample: "2026-11-23T11:00:00Z"
not_after:
  description: When it expires, in UTC.
  type: str
  returned: always
  sample: "2027-12-25T12:00:00Z"
days_left:
  description: Whole days until it expires.
  type: int
  returned: always
  sample: 397
serial:
  description: The serial number, in lower-case hexadecimal.
  type: str
  returned: always
subject:
  description: The subject.
  type: str
  returned: always
  sample: "CN=registry.lab, O=Example"
issuer:
  description: The issuer. Null in check mode where the CA is not there yet.
  type: str
  returned: always
  sample: "CN=Registry CA, O=Example"
names:
  description: The subject alternative names. One that the option O(names) would read otherwise has its kind before it.
  type: list
  elements: str
  returned: always
  sample: [registry.lab, 192.0.2.10]
request:
  description:
    - With O(ca_content), a request for the certificate that is due, as PEM text, for O(issued_content) to answer.
    - Null when none is due, and in check mode.
  type: str
  returned: always
ca:
  description: Of the CA that O(ca) asks for, what is returned of a certificate, with RV(filename) and RV(certificate).
  type: dict
  returned: when O(ca) is given
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _certificate_request, _x509
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude


def main() -> None:
    module = AnsibleModule(argument_spec=_certificate_request.ARGUMENTS, supports_check_mode=True)
    conclude(module, lambda: _x509.run(module.params, check_mode=module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
