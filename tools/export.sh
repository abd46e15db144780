#!/usr/bin/env bash
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Copy what git lists, new files included, to DIRECTORY: a checkout as a stranger would clone it, uncommitted work included.
# Usage: export.sh DIRECTORY
set -euo pipefail
target=$(realpath --canonicalize-missing "$1")
cd "$(dirname "$0")/.."

rm -rf "$target"
git init --quiet --initial-branch=main "$target"
git ls-files --cached --others --exclude-standard --deduplicate -z | while IFS= read -r -d '' file; do
  [ ! -e "$file" ] || printf '%s\0' "$file"
done | tar --create --null --files-from=- | tar --extract --directory "$target"
