# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter image_archive_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: image_archive_problems
short_description: Say why an image can not be loaded from an archive
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Looks, on the controller, into a file that C(docker save) made, before it is sent to any host.
positional: _input, image, architecture
options:
  _input:
    description:
      - Path of the archive.
    type: path
    required: true
  image:
    description:
      - The image that it has to hold.
    type: str
    required: true
  architecture:
    description:
      - The processors that it has to be for, by Go's name, such as V(amd64). Empty where they are not known.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check the archive
  ansible.builtin.assert:
    that: "'registry.tar' | stronghold.registry.image_archive_problems('registry:3.1.1') | length == 0"
"""

RETURN = r"""
_value:
  description: The problem, as a sentence, or nothing.
  type: list
  elements: str
"""

from collections.abc import Callable


def image_archive_problems(path: str, image: str, architecture: str = "") -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._image_archive import problem

    found = problem(path, image, architecture)
    return [found] if found else []


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"image_archive_problems": image_archive_problems}
