#!/usr/bin/env bash
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Build the collection, compare the tarball with what git lists, install it into an empty path, and use it from there.
set -euo pipefail
cd "$(dirname "$0")/.."

here=$PWD/build/package
rm -rf "$here"
mkdir -p "$here/elsewhere"
ansible-galaxy collection build --output-path "$here" >/dev/null

# Development's own files stay behind; anything else that git lists is shipped, and nothing else.
own='^(\.|Makefile|ansible\.cfg|galaxy\.yml|pyproject\.toml|docs/example/|molecule/|tests/|tools/)'
git ls-files --cached --others --exclude-standard --deduplicate | while read -r file; do
  [ ! -e "$file" ] || echo "$file"
done | grep -vE "$own" | sort >"$here/expected"
tar -tzf "$here"/stronghold-registry-*.tar.gz | grep -v '/$' | grep -vxE 'MANIFEST\.json|FILES\.json' | sort >"$here/shipped"
diff -u "$here/expected" "$here/shipped"

touch "$here/elsewhere/ansible.cfg"
export ANSIBLE_CONFIG=$here/elsewhere/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$here/installed ANSIBLE_LOCALHOST_WARNING=false
cd "$here/elsewhere"
ansible-galaxy collection install --no-deps --collections-path "$here/installed" "$here"/stronghold-registry-*.tar.gz >/dev/null
cp -R "$OLDPWD/build/collections/ansible_collections/community" "$here/installed/ansible_collections/"

# ansible-doc ends well with what it does not find.
documented() {
  local type=$1 names=() path
  shift
  for path in "$@"; do names+=("stronghold.registry.$(basename "$path" .py)"); done
  ansible-doc --type "$type" --json "${names[@]}" | python -c '
import json, sys
missing = set(sys.argv[1:]) - set(json.load(sys.stdin))
sys.exit(f"ansible-doc does not show {sorted(missing)}" if missing else 0)' "${names[@]}"
}
documented module "$OLDPWD"/plugins/modules/*.py
documented filter "$OLDPWD"/plugins/filter/*.py
documented role "$OLDPWD"/roles/*
for playbook in "$OLDPWD"/playbooks/*.yml; do
  ansible-playbook --syntax-check "stronghold.registry.$(basename "$playbook" .yml)" >/dev/null
done
