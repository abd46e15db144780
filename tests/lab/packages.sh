#!/usr/bin/env bash
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Debian packages that the tests need on this machine: the lab's makers and the independent judges.
set -eu

wanted=(apache2-utils buildah chromium-headless-shell faketime fonts-dejavu-core golang-docker-credential-helpers iptables mmdebstrap openssl pass podman rclone redis-tools skopeo zstd)
# Others have it in a package of another name.
command -v kubectl >/dev/null || wanted+=(kubernetes-client)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
echo "Installing ${missing[*]} ..."
"${root[@]}" apt-get -qq update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
