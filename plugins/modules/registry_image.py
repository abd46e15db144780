# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_image: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image
short_description: Have an image in a registry that is elsewhere
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Copies an image from another registry, an archive or an engine to a registry, by skopeo, from the host that it runs
    on. All platforms are copied, and the digests stay.
  - An image that is there is not copied. What was copied before an interruption is not copied again.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Compares the two, and copies nothing.
    support: full
requirements:
  - skopeo 1.9 or newer
options:
  registry:
    description:
      - The registry, as engines write it in front of a repository's name, such as V(registry.example.com:5000).
    type: str
    required: true
  name:
    description:
      - What the image shall be called there, a repository with a tag, such as V(team/app:1).
    type: str
    required: true
  source:
    description:
      - The image to copy, as skopeo writes it, such as V(docker://quay.io/team/app:1), V(oci-archive:/path/app.tar),
        V(docker-archive:/path/app.tar) or V(docker-daemon:app:1).
      - What an engine saves, as in the last two, has no digest of its own. There images with the same configuration are
        taken for the same.
    type: str
    required: true
  security:
    description:
      - V(tls) demands a certificate of O(registry) that is valid, V(insecure) plain HTTP.
    type: str
    choices: [tls, insecure]
    default: tls
  ca_certificate:
    description:
      - The CA certificate to trust for O(registry), as PEM text. When empty, the CAs of the system are trusted.
    type: str
    default: ""
  client_certificate:
    description:
      - The certificate, with its chain, by which this host proves itself to a registry that asks for one, as text in
        PEM. Give O(client_key) too.
      - It is public, but masked in the module's output, so that a private key that is passed by mistake is not shown.
    type: str
    default: ""
  client_key:
    description:
      - The private key of O(client_certificate), unencrypted, as text in PEM.
    type: str
    default: ""
  username:
    description:
      - A user who may push to O(registry). Give O(password) too.
    type: str
    default: ""
  password:
    description:
      - Password of the user.
    type: str
    default: ""
  source_username:
    description:
      - A user who may pull from the registry in O(source). Give O(source_password) too.
      - Without one, the login counts that the user of the task has made with skopeo or podman.
    type: str
    default: ""
  source_password:
    description:
      - Password of the user.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Have a base image in our registry
  stronghold.registry.registry_image:
    registry: registry.example.com:5000
    name: base/debian:12
    source: docker://docker.io/library/debian:12
    ca_certificate: "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
    username: robot
    password: "{{ vault_robot_password }}"
  delegate_to: localhost
"""

RETURN = r"""
reasons:
  description: Why the image had to be copied. Empty when it had not.
  type: list
  elements: str
  returned: success
  sample: ["base/debian:12: is not there"]
digest:
  description: The digest that it has in the registry. Null in check mode where it would be copied.
  type: str
  returned: success
  sample: sha256:8f5b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _image_copy
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "registry": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "security": {"type": "str", "choices": ["tls", "insecure"], "default": "tls"},
    "ca_certificate": {"type": "str", "default": ""},
    "client_certificate": {"type": "str", "default": "", "no_log": True},
    "client_key": {"type": "str", "default": "", "no_log": True},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "source_username": {"type": "str", "default": ""},
    "source_password": {"type": "str", "default": "", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _image_copy.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
