# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_bundle: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_bundle
short_description: Make an archive of all that a controller without a network needs for a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Puts the registry's image, images to copy into it, collections, wheels for Python and a list of packages into one
    tar file, with a file of checksums, one of variables that name what is in it, and a README that tells how to use it.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Tells what would be made, and makes nothing.
    support: full
requirements:
  - skopeo 1.9 or newer
  - pip, for O(requirements)
options:
  directory:
    description:
      - Where the archive goes. It is made where it is not there.
    type: path
    required: true
  name:
    description:
      - The registry's name, after which the archive is named.
    type: str
    default: registry
  image:
    description:
      - The registry's image, by the name that it shall have on the servers.
    type: str
    required: true
  image_source:
    description:
      - Where it is, as skopeo writes it, such as V(docker://docker.io/library/registry:3.1.1).
    type: str
    required: true
  architecture:
    description:
      - The servers' processors, by Go's name.
    type: str
    default: amd64
  images:
    description:
      - Images to copy into the registry. All of their platforms are taken.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What one shall be called in the registry, a repository with a tag.
        type: str
        required: true
      source:
        description:
          - Where it is, as skopeo writes it.
        type: str
        required: true
  collections:
    description:
      - Directories of installed collections, such as V(~/.ansible/collections/ansible_collections/community/docker).
    type: list
    elements: path
    default: []
  requirements:
    description:
      - What Python needs on the controller, as pip writes it, such as V(ansible-core). Wheels are for this controller's
        Python and system.
    type: list
    elements: str
    default: []
  packages:
    description:
      - The packages that hosts have to have, for people to read.
    type: dict
    default: {}
notes:
  - Each bundle is a change, since it is made anew.
"""

EXAMPLES = r"""
- name: Make a bundle for a registry without a network
  stronghold.registry.registry_bundle:
    directory: bundles
    image: registry:3.1.1
    image_source: docker://docker.io/library/registry:3.1.1
    images:
      - name: base/debian:12
        source: docker://docker.io/library/debian:12
    requirements: [ansible-core, requests]
"""

RETURN = r"""
reasons:
  description: What is made.
  type: list
  elements: str
  returned: success
  sample: ["bundles/stronghold-registry-amd64.tar: is made anew"]
path:
  description: The archive.
  type: str
  returned: success
  sample: bundles/stronghold-registry-amd64.tar
checksum:
  description: Its SHA-256, in hexadecimal digits. Null in check mode.
  type: str
  returned: success
  sample: 5f2b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _bundle
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

IMAGE = {"name": {"type": "str", "required": True}, "source": {"type": "str", "required": True}}
ARGUMENT_SPEC = {
    "directory": {"type": "path", "required": True},
    "name": {"type": "str", "default": "registry"},
    "image": {"type": "str", "required": True},
    "image_source": {"type": "str", "required": True},
    "architecture": {"type": "str", "default": "amd64"},
    "images": {"type": "list", "elements": "dict", "default": [], "options": IMAGE},
    "collections": {"type": "list", "elements": "path", "default": []},
    "requirements": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _bundle.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
