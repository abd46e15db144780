# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_prune: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_prune
short_description: Delete the images of a registry that no rule keeps
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Reads what is there, and when it was pushed, from the registry's storage. Deletes through the registry, which has
    to allow it.
  - Never deletes what a kept tag needs, be it because two tags stand for the same image or because an index stands
    for images of several platforms. Signatures and the like stay and go with what they belong to.
  - Frees no space by itself. The garbage collection does, see M(stronghold.registry.registry_garbage_collect).
extends_documentation_fragment:
  - stronghold.registry.connection
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Reports what would go, and deletes nothing.
    support: full
options:
  data_directory:
    description:
      - The directory on this host which the registry's storage driver C(filesystem) has as its C(rootdirectory).
      - Needed without O(directory).
    type: path
  directory:
    description:
      - The registry's directory on this host, as the roles make it. By its C(config/config.yml) the images are found,
        with the storage driver C(filesystem) or C(s3).
    type: path
  rules:
    description:
      - What to keep. Of a repository, the first rule with a pattern that matches its name counts. Repositories
        that none matches are left alone.
      - A tag is kept if anything in the rule keeps it.
    type: list
    elements: dict
    required: true
    suboptions:
      repositories:
        description:
          - Patterns of names, such as V(team/*). The asterisk spans slashes.
        type: list
        elements: str
        required: true
      keep_newest:
        description:
          - How many tags to keep, those that were pushed last. Tags that were pushed at the same time as the last
            of them are kept too.
        type: int
      keep_younger_than:
        description:
          - Keep what was pushed no longer ago, such as V(36h), V(30d) or V(4w).
        type: str
      keep_tags:
        description:
          - Patterns of the names of tags to keep, such as V(v*).
        type: list
        elements: str
      remove_untagged_after:
        description:
          - Delete manifests that no tag leads to any more when they were pushed longer ago than this. Without it
            they stay.
          - Somebody may still pull them by their digest.
        type: str
  always_keep:
    description:
      - Patterns of C(repository:tag) that are kept whatever the rules say, such as V(*:stable).
    type: list
    elements: str
    default: []
  allow_empty:
    description:
      - Confirms that repositories may lose all of their tags. Otherwise that is an error, and nothing is deleted.
    type: bool
    default: false
notes:
  - The age of an image is the time since its tag was last pushed. When it was built, images state as they like.
  - Works with the storage drivers C(filesystem) and C(s3). Of a bucket, all objects are listed once, which costs a
    request for a thousand, and each tag and manifest is one more.
"""

EXAMPLES = r"""
- name: Keep ten builds of each application, and all releases
  stronghold.registry.registry_prune:
    host: registry.example.com
    address: 127.0.0.1
    ca_certificate: "{{ registry_ca_certificate }}"
    username: janitor
    password: "{{ vault_janitor_password }}"
    data_directory: /srv/registry/data
    rules:
      - repositories: ["builds/*"]
        keep_newest: 10
        keep_younger_than: 14d
        remove_untagged_after: 7d
      - repositories: ["*"]
        keep_tags: ["v*", latest]
    always_keep: ["*:stable"]
"""

RETURN = r"""
reasons:
  description: What goes, a sentence each. Empty when nothing does.
  type: list
  elements: str
  returned: success
  sample: ["builds/app:17 goes: no rule keeps it"]
repositories:
  description:
    - The repositories that a rule matches, each with the tags that are kept and those that go, with the reason, how
      many manifests without a tag go, and the digests of all manifests that are deleted, in this order.
  type: list
  elements: dict
  returned: success
  sample:
    - name: builds/app
      kept: {"27": one of the newest 10}
      pruned: {"17": no rule keeps it}
      untagged: 0
      manifests: [sha256:8f5b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _connection, _prune
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

RULE = {
    "repositories": {"type": "list", "elements": "str", "required": True},
    "keep_newest": {"type": "int"},
    "keep_younger_than": {"type": "str"},
    "keep_tags": {"type": "list", "elements": "str"},
    "remove_untagged_after": {"type": "str"},
}
ARGUMENT_SPEC = {
    **_connection.ARGUMENTS,
    "data_directory": {"type": "path"},
    "directory": {"type": "path"},
    "rules": {"type": "list", "elements": "dict", "required": True, "options": RULE},
    "always_keep": {"type": "list", "elements": "str", "default": []},
    "allow_empty": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("data_directory", "directory")],
        required_one_of=[("data_directory", "directory")],
    )
    conclude(module, lambda: _prune.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
