# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_login: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_login
short_description: Log users of this host in to a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Logs users of this host in to a registry, for Docker, and for Podman, Buildah and Skopeo, or logs them out.
  - Tries the login at the registry before it writes anything, and in every run, so that one that no longer works
    is noticed.
  - Writes a user's files with that user's rights only, and keeps the logins and settings that are none of its
    business. A file that can't be parsed is an error, and then nothing is written anywhere.
  - Where a file names a credential helper for the registry, the helper keeps the password, and the file does not.
extends_documentation_fragment:
  - stronghold.registry.attributes
options:
  registry:
    description:
      - The registry as image references name it, V(host) or V(host:port), in lower case, without scheme and path.
    type: str
    required: true
  state:
    description:
      - Whether the users shall be logged in.
      - With V(absent) an entry of the registry is taken away, whoever logged in, and a file and directory that are
        empty then.
    type: str
    choices: [present, absent]
    default: present
  username:
    description:
      - The user of the registry. Needed unless O(state=absent).
    type: str
  password:
    description:
      - The password of O(username). Needed unless O(state=absent).
    type: str
  users:
    description:
      - The users of this host whose clients log in. Each needs a home.
    type: list
    elements: str
    default: [root]
  clients:
    description:
      - The kinds of clients to log in. V(docker) reads C(~/.docker/config.json). V(podman) stands for Podman,
        Buildah and Skopeo, which all read C(~/.config/containers/auth.json).
      - V(auto) is those whose programs are on this host, and fails where there is none. With O(state=absent) it is
        those that have a file.
      - One that is named is logged in even before it is installed.
    type: list
    elements: str
    choices: [auto, docker, podman]
    default: [auto]
  security:
    description:
      - How the registry is asked. V(tls) demands TLS 1.2 or newer and a certificate that is valid, V(insecure)
        plain HTTP.
    type: str
    choices: [tls, insecure]
    default: tls
  ca_certificate:
    description:
      - The CA certificate to trust, as text in PEM, or several. When empty, the CAs of the system are trusted.
      - It is public, but masked in the module's output, so that a private key that is passed by mistake is
        not shown.
    type: str
    default: ""
  client_certificate:
    description:
      - The certificate, with its chain, by which this host proves itself to a registry that asks for one, as
        text in PEM. Give O(client_key) too.
      - It is masked as O(ca_certificate) is.
    type: str
    default: ""
  client_key:
    description:
      - The private key of O(client_certificate), unencrypted, as text in PEM. It is written nowhere.
    type: str
    default: ""
  address:
    description:
      - Connect to this name or address, whatever the host in O(registry) resolves to.
    type: str
  verify:
    description:
      - Try the login at the registry. One that it refuses is an error, and nothing is written.
      - In check mode it is a warning instead, as is a registry that can't be asked, since what runs before may be
        about to mend it.
    type: bool
    default: true
  timeout:
    description:
      - Seconds in which the registry has to be reached.
    type: int
    default: 30
attributes:
  check_mode:
    description: Predicts exactly what a run would do, and changes nothing. Asks the registry and credential helpers.
    support: full
  diff_mode:
    description: Shows who logs in where, and never a password.
    support: full
notes:
  - A C(podman login) by hand writes to C(/run/user/UID/containers/auth.json), root's to
    C(/run/containers/0/auth.json), which then goes before the user's own file. Where such a file knows the registry
    it is set right as well.
  - Other files, which C(DOCKER_CONFIG), C(REGISTRY_AUTH_FILE) or C(XDG_CONFIG_HOME) name in a user's environment,
    are not known to the module.
  - A registry that hands out tokens (Bearer) can't be asked yet. Set O(verify) to false there.
seealso:
  - module: stronghold.registry.client_trust
  - module: stronghold.registry.registry_probe
"""

EXAMPLES = r"""
- name: Log in root and the user that builds images
  stronghold.registry.registry_login:
    registry: registry.lab:5000
    ca_certificate: "{{ lookup('ansible.builtin.file', 'registry-ca.crt') }}"
    username: moby
    password: "{{ vault_moby_password }}"
    users: [root, builder]

- name: Prepare a host on which Podman is yet to be installed
  stronghold.registry.registry_login:
    registry: registry.example.org
    username: robot
    password: "{{ vault_robot_password }}"
    clients: [podman]

- name: Log out
  stronghold.registry.registry_login:
    registry: registry.lab:5000
    users: [root, builder]
    state: absent
"""

RETURN = r"""
reasons:
  description: What has to change and why, a sentence each.
  type: list
  elements: str
  returned: always
  sample: ["/root/.docker/config.json: user moby is not logged in to registry.lab:5000"]
clients:
  description: The kinds of clients that were handled.
  type: list
  elements: str
  returned: always
  sample: [docker, podman]
files:
  description: The files that have the login after the run, or that name the credential helper which has it.
  type: list
  elements: str
  returned: always
  sample: [/root/.docker/config.json, /root/.config/containers/auth.json]
verified:
  description:
    - Whether the registry let the user in. Always true outside of check mode, where it was tried.
    - Null where it was not, and where the registry asks nobody for a password.
  type: bool
  returned: always
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _login
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "registry": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "users": {"type": "list", "elements": "str", "default": ["root"]},
    "clients": {"type": "list", "elements": "str", "choices": ["auto", *_login.PROGRAMS], "default": ["auto"]},
    "security": {"type": "str", "choices": ["tls", "insecure"], "default": "tls"},
    # Masked for a private key that is passed by mistake: parameters are echoed when the module fails.
    "ca_certificate": {"type": "str", "default": "", "no_log": True},
    "client_certificate": {"type": "str", "default": "", "no_log": True},
    "client_key": {"type": "str", "default": "", "no_log": True},
    "address": {"type": "str"},
    "verify": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _login.run(module.params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
