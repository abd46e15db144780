# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules that write a file have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  owner:
    description:
      - Name or number of the user who shall own the file.
      - Set before the file appears under its name, so nobody else can read it in between.
    type: str
  group:
    description:
      - Name or number of the group of the file.
    type: str
attributes:
  diff_mode:
    description: Shows what was and what will be as facts. Secrets are never among them.
    support: full
notes:
  - The file is written to a temporary name beside it and renamed, so readers find the old or the new one, never a part.
  - A missing directory is made with mode V(0700) and the owner of the file; its missing parents with mode V(0755).
"""
