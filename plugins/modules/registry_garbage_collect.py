# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_garbage_collect: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_garbage_collect
short_description: Free the space of what no image of a registry needs any more
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Has the registry report its garbage first, and does nothing where there is none.
  - Otherwise the registry is restarted as one that can only be pulled from, its garbage collected, and restarted as it
    was, which also empties a cache in its memory. Each restart takes about a second. Pushes fail meanwhile, those that
    have begun as well.
  - Whatever goes wrong, the registry ends as it was, unless its cache is a Redis that can't be reached any more. Then,
    and where this module is killed or the host goes down, it is one to pull from, and the next run, or one of the role
    registry_server, lets it be pushed to again.
  - Then reads every tagged manifest, and looks for everything that these need, images for all platforms included.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Reports what would go, and changes nothing.
    support: full
requirements:
  - the docker client
  - PyYAML
options:
  container:
    description:
      - The name of the registry's container. It has to run.
    type: str
    required: true
  directory:
    description:
      - The registry's directory on this host, with C(config) and C(data) in it. For the time of the collection another
        C(config.yml) stands in its place, and it is beside it, with C(.writable) appended to its name.
      - What was done is added to the file C(history.jsonl) in it.
    type: path
    required: true
  delete_untagged:
    description:
      - Remove manifests that no tag leads to as well. Refused for a registry before version 3, which would also remove
        those that an index of images for several platforms is made of.
      - The module M(stronghold.registry.registry_prune) does this for all versions, and spares what was pushed lately.
    type: bool
    default: false
  shared:
    description:
      - Whether other replicas share the storage. All of them have to be read-only then, which is looked at here alone.
    type: bool
    default: false
  only_recover:
    description:
      - Collect nothing. Where a collection was interrupted that may have removed what a cache in Redis remembers, end
        what of it still runs, and have the Redis forget, before the registry is configured to be pushed to again.
    type: bool
    default: false
notes:
  - Works with the storage drivers C(filesystem) and C(s3), and not for a pull-through cache.
  - A registry that is read-only by its own configuration is not restarted.
  - A cache in Redis is emptied of what registries keep in it.
"""

EXAMPLES = r"""
- name: Free what no image needs any more
  stronghold.registry.registry_garbage_collect:
    container: registry
    directory: /srv/registry
  register: collection

- name: Say what was freed
  ansible.builtin.debug:
    msg: "{{ collection.size // 1048576 }} MiB"
"""

RETURN = r"""
reasons:
  description: Why a collection was due. Empty when it was not.
  type: list
  elements: str
  returned: success
  sample: ["no image needs some blobs: 14, of 73400320 bytes"]
blobs:
  description: How many blobs no image needs.
  type: int
  returned: success
  sample: 14
manifests:
  description: How many of these are manifests without a tag. Always 0 without O(delete_untagged).
  type: int
  returned: success
  sample: 0
size:
  description: The size of these blobs in bytes.
  type: int
  returned: success
  sample: 73400320
damaged:
  description: The tags that could not be pulled before the collection either, a sentence each.
  type: list
  elements: str
  returned: success
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _garbage_collect
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "container": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "delete_untagged": {"type": "bool", "default": False},
    "shared": {"type": "bool", "default": False},
    "only_recover": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _garbage_collect.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
