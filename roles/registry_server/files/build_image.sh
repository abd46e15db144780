#!/bin/sh
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a minimal image of a registry from the distribution's package docker-registry: its program, the libraries that this
# is linked to, and the system's CA certificates. The package is not installed, since that would start its service.
# Usage: build_image.sh IMAGE
set -eu

image=$1
# Not in /tmp, which hardened hosts mount noexec: the dynamic linker has to load the program to list its libraries.
work=$(mktemp -d -p /var/lib)
trap 'rm -rf "$work"' EXIT

mkdir "$work/package" "$work/root"
cd "$work/package"
# apt drops its privileges for downloads and has to reach the folder.
chown _apt "$work/package"
chmod 0755 "$work"
apt-get -qq update
apt-get -qq download docker-registry
dpkg-deb --extract docker-registry_*.deb .

program=usr/bin/docker-registry
install -D -m 0755 "$program" "$work/root/$program"
ldd "$program" >"$work/libraries"
grep -o '/[^ ]*' "$work/libraries" | while read -r library; do
  install -D -m 0755 "$library" "$work/root$library"
done
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
fi

tar --create --directory "$work/root" --owner=0 --group=0 . |
  docker import --change 'ENTRYPOINT ["/usr/bin/docker-registry"]' - "$image"
