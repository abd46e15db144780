#!/usr/bin/env bash
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-test sanity on a copy of the checkout, since ansible-test refuses a linked collection.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=build/sanity/ansible_collections/stronghold/registry
tools/export.sh "$copy"

# ansible-test downloads a bootstrap script of pip, unless one is in its cache: this one takes Python's own pip.
pip=$(sed -n "s/^ *pip='\([0-9.]*\)',/\1/p" build/venv/lib/python3*/site-packages/ansible_test/_internal/python_requirements.py)
bootstrap=~/.ansible/test/cache/get_pip_${pip//./_}.py
mkdir -p "$(dirname "$bootstrap")"
[ -e "$bootstrap" ] || printf 'import ensurepip\n\nensurepip.bootstrap()\n' >"$bootstrap"

# pyenv's shims answer for Pythons that are not selected, and then fail: name the Pythons themselves.
if root=$(pyenv root 2>/dev/null); then
  PATH=${PATH//"$root/shims:"/}$(printf ':%s' "$root"/versions/*/bin)
fi

cd "$copy"
ansible-test sanity --local --requirements --color no
