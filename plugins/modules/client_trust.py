# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module client_trust: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: client_trust
short_description: Have this host's container engines trust a registry, and its users logged in
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Puts the trust anchor of a registry where the engines look for it, or names the registry as insecure, or
    undoes both. Has the engines ask the registry first for images of others that it mirrors.
  - Docker and Podman read C(certs.d), and containerd reads C(hosts.toml), at each request, so a trust anchor
    needs neither a reload nor a restart. What stands in Docker's C(daemon.json), an insecure registry or a
    mirror, needs a reload, which the module asks for and does not do.
  - Moving from one kind of trust to the other leaves nothing of the former.
  - Logs users of the host in, when asked, as M(stronghold.registry.registry_login) does, which is for hosts whose
    trust is none of this collection's business.
extends_documentation_fragment:
  - stronghold.registry.attributes
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
      - With V(absent) what this module puts there is taken away. Files of other names or kinds in the registry's
        directory are kept, and told in RV(foreign). A C(ca.crt) with certificates is taken for the module's own.
    type: str
    choices: [present, absent]
    default: present
  security:
    description:
      - V(tls) verifies the registry's certificate. V(insecure) does not, and speaks HTTP where the registry
        does; containerd then speaks HTTP only.
      - Docker never verifies addresses in 127.0.0.0/8 and ::1, whatever is set here.
    type: str
    choices: [tls, insecure]
    default: tls
  ca_certificate:
    description:
      - The certificate, or several, of the authority that signed the registry's, as text in PEM. Or the
        registry's own, where it signed itself.
      - Leave it empty where that authority is one which the host trusts anyway. No C(ca.crt) is kept then.
      - It is public, but masked in the module's output, so that a private key that is passed by mistake is
        not shown.
    type: str
    default: ""
  client_certificate:
    description:
      - The certificate, with its chain, by which this host proves itself to a registry that asks for one, as
        text in PEM.
    type: str
    default: ""
  client_key:
    description:
      - The private key of O(client_certificate), unencrypted, as text in PEM. Its files are open to their owner
        only. The engines of O(users) get copies of their own.
    type: str
    default: ""
  mirrored:
    description:
      - Registries whose images are asked of this one first, such as V(docker.io) or V(quay.io). They are asked
        themselves where it has not got them.
      - Docker does so for V(docker.io) only, and without a login. What an engine cannot do is told in
        RV(unsupported).
    type: list
    elements: str
    default: []
  username:
    description:
      - The user of the registry that logs in.
      - containerd's sole place for a login is the file with the trust, where this one is written whatever O(login)
        says. Everything that containerd runs on this host may then pull.
    type: str
    default: ""
  password:
    description:
      - The password of O(username).
    type: str
    default: ""
  login:
    description:
      - Whether O(users) are logged in, as O(username), with the clients of O(engines) that keep logins in files of
        users. These are Docker, rootless Docker, and Podman with its relatives.
      - With V(absent) an entry of the registry is taken away, whoever logged in, for Docker and Podman both.
    type: str
    choices: [present, absent, untouched]
    default: untouched
  verify:
    description:
      - With O(login=present), try the login at the registry in every run, before anything is written. One that it
        refuses is an error.
      - In check mode it is a warning instead, and not tried where the registry would first be trusted.
    type: bool
    default: true
  force:
    description:
      - Replace files that others made, that are no certificates, or that are symbolic links, where ours belong.
        By default the module fails, since somebody may want to look at them first.
    type: bool
    default: false
  engines:
    description:
      - The engines to set up. One that is named and not on this host is an error.
      - V(auto) is all engines that are on this host and in use, and fails where there is none. containerd that
        is there for Docker alone is not meant, nor is V(system).
      - V(podman) stands for Podman, Buildah, Skopeo and CRI-O, which read the same files.
      - V(rootless_docker) stands for the engines of O(users).
      - V(system) is the trust store of the host itself, for other programs. It takes trust anchors only.
    type: list
    elements: str
    choices: [auto, docker, rootless_docker, containerd, podman, system]
    default: [auto]
  users:
    description:
      - Users of this host that are logged in, and that may have an engine of their own (rootless Docker). Their
        files are read and written with their rights.
    type: list
    elements: str
    default: []
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
  containerd_directory:
    description:
      - The directory with containerd's C(config.toml), and with C(certs.d) where that file names no other.
    type: path
    default: /etc/containerd
  containers_directory:
    description:
      - The directory with C(certs.d) and C(registries.conf.d) of Podman and its relatives.
    type: path
    default: /etc/containers
attributes:
  diff_mode:
    description: Shows certificates as fingerprints, no private key and no login, and of C(daemon.json) our lists
      only.
    support: full
notes:
  - A reload of Docker keeps an insecure registry whose key is gone from C(daemon.json). See the notes of
    M(stronghold.registry.daemon_config) on what RV(placeholders) tells.
  - CRI-O reads C(registries.conf.d) when it starts or is reloaded.
  - Docker as a snap, Docker Desktop and C(podman-docker) are recognised, and told to be unsupported.
seealso:
  - module: stronghold.registry.daemon_config
  - module: stronghold.registry.registry_login
"""

EXAMPLES = r"""
- name: Trust the registry's own authority
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    ca_certificate: "{{ lookup('ansible.builtin.file', 'registry-ca.crt') }}"

- name: Trust it, and log root and a builder in
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    ca_certificate: "{{ lookup('ansible.builtin.file', 'registry-ca.crt') }}"
    login: present
    username: moby
    password: "{{ vault_moby_password }}"
    users: [root, builder]

- name: Have Podman and containerd ask it first for images of two public registries
  stronghold.registry.client_trust:
    registry: registry.lab:5000
    ca_certificate: "{{ lookup('ansible.builtin.file', 'registry-ca.crt') }}"
    mirrored: [docker.io, quay.io]
    engines: [podman, containerd]

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
login_files:
  description: The files of users that have the login after the run, or that name the credential helper which has it.
  type: list
  elements: str
  returned: always
  sample: [/root/.docker/config.json]
verified:
  description:
    - Whether the registry let the user in. Always true outside of check mode, where it was tried.
    - Null where it was not, and where the registry asks nobody for a password.
  type: bool
  returned: always
foreign:
  description: Files of others in the directory of the registry's trust anchor. They are left alone.
  type: list
  elements: str
  returned: always
  sample: [/etc/docker/certs.d/registry.lab:5000/client.cert]
unsupported:
  description: What was asked for, and an engine of this host cannot do, a sentence each.
  type: list
  elements: str
  returned: always
  sample: ["Docker asks mirrors for images of docker.io only, not for those of quay.io."]
placeholders:
  description: Keys of C(daemon.json) that stay empty until the engine is reloaded. Run once more after the
    reload.
  type: list
  elements: str
  returned: always
  sample: [insecure-registries]
reload_required:
  description: Whether the host's running Docker engine has to be reloaded (SIGHUP) to do as the files say.
  type: bool
  returned: always
reload_processes:
  description: The processes of users' engines that have to be sent SIGHUP to do as the files say.
  type: list
  elements: dict
  returned: always
  contains:
    uid:
      description: The number of the user.
      type: int
    process:
      description: The number of the process.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine, _trust
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "registry": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "security": {"type": "str", "choices": ["tls", "insecure"], "default": "tls"},
    # Masked for a private key that is passed by mistake: parameters are echoed when the module fails.
    "ca_certificate": {"type": "str", "default": "", "no_log": True},
    "client_certificate": {"type": "str", "default": "", "no_log": True},
    "client_key": {"type": "str", "default": "", "no_log": True},
    "mirrored": {"type": "list", "elements": "str", "default": []},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login": {"type": "str", "choices": list(_trust.LOGINS), "default": "untouched"},
    "verify": {"type": "bool", "default": True},
    "force": {"type": "bool", "default": False},
    "engines": {"type": "list", "elements": "str", "choices": ["auto", *_trust.ENGINES], "default": ["auto"]},
    "users": {"type": "list", "elements": "str", "default": []},
    "docker_directory": {"type": "path", "default": "/etc/docker"},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
    "containerd_directory": {"type": "path", "default": "/etc/containerd"},
    "containers_directory": {"type": "path", "default": "/etc/containers"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _trust.run(module.params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
