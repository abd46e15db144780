# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules promise. A module that promises something else says so itself, which goes before this."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Predicts exactly what a run would do, and changes nothing.
    support: full
  diff_mode:
    description: The reasons tell what changes.
    support: none
  platform:
    description: Where the module runs.
    platforms: posix
    support: full
"""
