# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tell what a host has of what a registry needs, in its engine, at its port and for its Python
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Answers in one task what a play has to know before it runs a registry. It needs no library and no program, only
    the engine's socket and C(/proc).
  - Where no engine runs, that is no error, and none is started.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Does the same.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
options:
  containers:
    description:
      - The names of containers to look for, running or not.
    type: list
    elements: str
    default: []
  images:
    description:
      - The references of images to look for.
    type: list
    elements: str
    default: []
  port:
    description:
      - The TCP port of the host of which to tell who has it, whatever address it is taken at.
    type: int
  paths:
    description:
      - Files and directories to look for.
    type: list
    elements: path
    default: []
  libraries:
    description:
      - The names by which Python would import libraries that later tasks need. They are looked for, not imported.
    type: list
    elements: str
    default: []
  swarm:
    description:
      - Whether to ask the engine for the swarm that it is in.
    type: bool
    default: false
  docker_socket:
    description:
      - Where the engine answers.
    type: path
    default: /var/run/docker.sock
notes:
  - Who has a port is only known to root, apart from one's own programs.
"""

EXAMPLES = r"""
- name: Look at the engine, the port and the libraries
  stronghold.registry.host_info:
    containers: [registry]
    images: [registry:3.1.1]
    port: 5000
    libraries: [cryptography, passlib]
  register: host

- name: Check that the port is free, or ours
  ansible.builtin.assert:
    that:
      - host.port_programs | length == 0
      - host.port_containers | difference(['registry']) | length == 0
"""

RETURN = r"""
answers:
  description: Whether an engine runs and answers. If not, nothing is known of containers and images.
  type: bool
  returned: success
architecture:
  description: The host's processors, by the name that images bear.
  type: str
  returned: success
  sample: amd64
containers:
  description: Those of O(containers) that are there, by name, each with the identifier of its image and its labels.
  type: dict
  returned: success
  sample:
    registry:
      image: sha256:5f2b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
      labels: {}
images:
  description: Those of O(images) that are there, in the order and the words of O(images).
  type: list
  elements: str
  returned: success
  sample: ["registry:3.1.1"]
paths:
  description: Those of O(paths) that are there, in the same order.
  type: list
  elements: str
  returned: success
  sample: [/etc/stronghold/registry.json]
missing_libraries:
  description: Those of O(libraries) that the Python which runs this module does not find, in the same order.
  type: list
  elements: str
  returned: success
  sample: [passlib]
port_containers:
  description: The names of the running containers that publish O(port), sorted.
  type: list
  elements: str
  returned: success
  sample: [registry]
port_programs:
  description:
    - The names of the programs that listen on O(port), sorted.
    - The engine's own, C(dockerd) and C(docker-proxy), are left out. They listen for containers.
  type: list
  elements: str
  returned: success
  sample: [nginx]
swarm:
  description: The swarm that the engine is in. Without O(swarm) as if it were in none.
  type: dict
  returned: success
  contains:
    active:
      description: Whether it is in one.
      type: bool
    manager:
      description: Whether it is a manager there, which can be asked for changes.
      type: bool
    node:
      description: Its identifier there, empty where it is in none.
      type: str
    labels:
      description: The labels of the swarm itself, which only managers know.
      type: dict
    managers:
      description: The identifiers of the managers that it knows, sorted.
      type: list
      elements: str
  sample:
    active: true
    manager: true
    node: w8q4bc5yr5xwbyiqj0ch6nsyb
    labels: {}
    managers: [w8q4bc5yr5xwbyiqj0ch6nsyb]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine, _host_info
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "containers": {"type": "list", "elements": "str", "default": []},
    "images": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "libraries": {"type": "list", "elements": "str", "default": []},
    "swarm": {"type": "bool", "default": False},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _host_info.run(module.params))


if __name__ == "__main__":
    main()
