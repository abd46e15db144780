# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module client_trust: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: client_trust
short_description: Have this host's container engines trust a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Puts the trust anchor of a registry where the engines look for it, or names the registry as insecure, or
    undoes both.
  - Docker reads C(certs.d) at each request, so a trust anchor needs neither a reload nor a restart. An
    insecure registry stands in C(daemon.json) and needs a reload, which the module asks for and does not do.
  - Moving from one kind of trust to the other leaves nothing of the former.
options:
  registry:
    description:
      - The registry as image references name it, V(host) or V(host:port), in lower case, without scheme and
        path. An IPv6 address stands in brackets, which Docker reads since release 23.
    type: str
    required: true
  state:
    description:
      - Whether the registry shall be trusted.
      - With V(absent) files that others put into the registry's directory are kept, and told in RV(foreign).
    type: str
    choices: [present, absent]
    default: present
  security:
    description:
      - V(tls) verifies the registry's certificate. V(insecure) does not, and speaks HTTP where the registry
        does.
      - Docker never verifies addresses in 127.0.0.0/8 and ::1, whatever is set here.
    type: str
    choices: [tls, insecure]
    default: tls
  ca_certificate:
    description:
      - The certificate, or several, of the authority that signed the registry's, as text in PEM.
      - Leave it empty where that authority is one which the host trusts anyway. No C(ca.crt) is kept then.
      - It is public, but masked in the module's output, so that a private key that is passed by mistake is
        not shown.
    type: str
    default: ""
  force:
    description:
      - Replace a C(ca.crt) that is no certificate. By default the module fails, since somebody may want to
        look at it first.
    type: bool
    default: false
  engines:
    description:
      - The engines to set up. V(auto) is all that are on this host, and fails where there is none. An engine
        that is named is set up even before it is installed.
    type: list
    elements: str
    choices: [auto, docker]
    default: [auto]
  docker_directory:
    description:
      - The directory with Docker's C(daemon.json) and C(certs.d).
    type: path
    default: /etc/docker
  docker_socket:
    description:
      - Where the running Docker engine answers.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    description: Predicts exactly what a run would do, and changes nothing.
    support: full
  diff_mode:
    description: Shows trust anchors as fingerprints, and of C(daemon.json) the list of insecure registries
      only.
    support: full
  platform:
    description: Where the module runs.
    platforms: posix
    support: full
notes:
  - A reload of Docker keeps an insecure registry whose key is gone from C(daemon.json). See the notes of
    M(stronghold.registry.daemon_config) on what RV(placeholders) tells.
seealso:
  - module: stronghold.registry.daemon_config
"""

EXAMPLES = r"""
- name: Trust the registry's own authority
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    ca_certificate: "{{ lookup('ansible.builtin.file', 'registry-ca.crt') }}"

- name: Use a registry without TLS
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    security: insecure
  register: trust

- name: Reload the engine
  ansible.builtin.service:
    name: docker
    state: reloaded
  when: trust.reload_required

- name: Trust it no longer
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    state: absent
"""

RETURN = r"""
reasons:
  description:
    - What has to change and why, a sentence each, and why an engine has to be reloaded where its files are
      right already.
  type: list
  elements: str
  returned: always
  sample: ["/etc/docker/certs.d/registry.lab:5000/ca.crt: is not there"]
engines:
  description: The engines that were handled.
  type: list
  elements: str
  returned: always
  sample: [docker]
trust_files:
  description: The files that say so after the run.
  type: list
  elements: str
  returned: always
  sample: [/etc/docker/certs.d/registry.lab:5000/ca.crt]
foreign:
  description: Files of others in the directory of the registry's trust anchor. They are left alone.
  type: list
  elements: str
  returned: always
  sample: [/etc/docker/certs.d/registry.lab:5000/client.cert]
placeholders:
  description: Keys of C(daemon.json) that stay empty until the engine is reloaded. Run once more after the
    reload.
  type: list
  elements: str
  returned: always
  sample: [insecure-registries]
reload_required:
  description: Whether a running engine has to be reloaded (SIGHUP) to do as the files say.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine, _files, _trust
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

ARGUMENT_SPEC = {
    "registry": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "security": {"type": "str", "choices": ["tls", "insecure"], "default": "tls"},
    # Masked for a private key that is passed by mistake: parameters are echoed when the module fails.
    "ca_certificate": {"type": "str", "default": "", "no_log": True},
    "force": {"type": "bool", "default": False},
    "engines": {"type": "list", "elements": "str", "choices": ["auto", "docker"], "default": ["auto"]},
    "docker_directory": {"type": "path", "default": "/etc/docker"},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        with _files.exclusively(check_mode=module.check_mode):
            result = _trust.run(module.params, module.check_mode)
    except RegistryError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
