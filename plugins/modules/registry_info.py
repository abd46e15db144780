# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Tell how a registry on this host is, and what it holds
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Reads the registry's directory and asks the engine for its container. It needs no password and sends the registry
    no request, so it takes the same short time however many users and images there are.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
requirements:
  - the docker client
  - cryptography
options:
  container:
    description:
      - The name of the registry's container. It need not run.
    type: str
    required: true
  directory:
    description:
      - The registry's directory on this host.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Look at the registry
  stronghold.registry.registry_info:
    container: registry
    directory: /srv/registry
  register: registry

- name: Say how many images there are
  ansible.builtin.debug:
    msg: "{{ registry.repositories | map(attribute='tags') | flatten | length }} tags"
"""

RETURN = r"""
container:
  description:
    - Whether the container runs, and if so its image, the registry's version, since when, and what it is allowed that a
      registry does not need. C(interrupted) tells of a collection or backup that was, so that pushes are refused.
  type: dict
  returned: success
  sample:
    name: registry
    runs: true
    image: registry:3.1.1
    version: 3.1.1
    started: "2026-11-26T09:30:00.123456789Z"
    problems: []
    interrupted: false
certificates:
  description: Of the server's certificate and the CA's, what the module certificate returns. Null where there is none.
  type: dict
  returned: success
  sample: {"ca": null, "server": {"days_left": 396}}
users:
  description: The users, each with the cost of its hash, null where that is none of bcrypt. Null without a user file.
  type: list
  elements: dict
  returned: success
  sample: [{"name": moby, "cost": 10}]
disk:
  description: The size of the file system that the data are on, and what is left of it, in bytes.
  type: dict
  returned: success
  sample: {"total": 270583992320, "free": 85899345920}
driver:
  description:
    - The registry's storage driver. What C(filesystem) and C(s3) hold is looked at; C(stored), C(repositories),
      C(schema1) and C(damaged) are null with others.
  type: str
  returned: success
  sample: filesystem
stored:
  description: The size of all that is stored, in bytes, needed by an image or not.
  type: int
  returned: success
  sample: 73400320
repositories:
  description:
    - The repositories by name, each with the size of what its tags need, and its tags. These have their digest, when
      they were last pushed, in seconds since the epoch, and their size. What images share is counted for each.
  type: list
  elements: dict
  returned: success
  sample:
    - name: team/app
      size: 73400320
      tags:
        - name: "1"
          digest: sha256:8f5b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
          pushed: 1795685400
          size: 73400320
schema1:
  description:
    - Manifests of the first schema, by their tag, or by their digest where they have none. From version 3 on, no
      registry serves them.
  type: list
  elements: str
  returned: success
  sample: []
damaged:
  description: The tags that can't be pulled, a sentence each.
  type: list
  elements: str
  returned: success
  sample: []
history:
  description:
    - What was done to the registry, the oldest first. Each has its C(event), its C(time) in seconds since the epoch,
      and what the C(disk) had left then.
  type: list
  elements: dict
  returned: success
  sample: [{"event": backup, "time": 1795685400, "archive": /mnt/backups/registry-20261126T093000Z.tar}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _registry_info
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "container": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _registry_info.run(module.params))


if __name__ == "__main__":
    main()
