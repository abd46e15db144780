#!/usr/bin/env bash
# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The lab's images, made from Debian's packages and kept in build/lab:
#   stronghold-lab/debian12:base    systemd, python3, git and make
#   stronghold-lab/debian12:engine  the same with a Docker engine
#   stronghold-lab/debian12:clients the same with Podman, Buildah, Skopeo, curl, and what Docker needs to run rootless
# and debian13 likewise. They trust the certificate authorities, and use the pip.conf, of the machine that makes them.
# Also the network that the lab's hosts share.
set -euo pipefail
cd "$(dirname "$0")/../.."

base=systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,git,iproute2,make,openssl,procps
authorities=/usr/local/share/ca-certificates
# What goes into the images: made anew when any of it changed.
ingredients=(tests/lab/images.sh)
for optional in "$authorities" /etc/pip.conf; do [ ! -e "$optional" ] || ingredients+=("$optional"); done
recipe=$(find "${ingredients[@]}" -type f -print0 | sort --zero-terminated | xargs --null cat | sha256sum | cut -c1-12)

make_base() { # suite, image
  mmdebstrap --quiet --variant=minbase --include="$base" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="if [ -e '$authorities' ]; then find '$authorities' -name '*.crt' -exec cp {} \"\$1$authorities/\" ';'; fi" \
    --customize-hook="chroot \"\$1\" update-ca-certificates >/dev/null 2>&1" \
    --customize-hook="if [ -e /etc/pip.conf ]; then cp /etc/pip.conf \"\$1/etc/\"; fi" \
    --customize-hook="rm -f \"\$1/etc/machine-id\" \"\$1/etc/resolv.conf\" && touch \"\$1/etc/machine-id\"" \
    "$1" - | docker import --change "LABEL recipe=$recipe" --change 'CMD ["/lib/systemd/systemd"]' - "$2" >/dev/null
}

add_packages() { # image, from tag, to tag, packages
  local output
  output=$(DOCKER_BUILDKIT=0 docker build --quiet --tag "$1:$3" - 2>&1 <<RECIPE
FROM $1:$2
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && apt-get -qq update && apt-get -qq install -y --no-install-recommends $4 >/dev/null \
 && rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin
RECIPE
  ) || { echo "$output" >&2; return 1; }
}

provide() { # suite, name, packages of the engine
  local image=stronghold-lab/$2 archive=build/lab/$2-$recipe.tar.zst
  [ "$(docker image inspect --format '{{.Config.Labels.recipe}}' "$image:clients" 2>/dev/null)" != "$recipe" ] || return 0
  if [ -e "$archive" ]; then
    zstd --quiet --decompress --stdout "$archive" | docker load --quiet >/dev/null
    return
  fi
  echo "Making the images of $image ..."
  make_base "$1" "$image:base"
  add_packages "$image" base engine "$3"
  add_packages "$image" engine clients 'podman buildah skopeo curl rootlesskit uidmap'
  rm -f "build/lab/$2"-*.tar.zst
  docker save "$image:base" "$image:engine" "$image:clients" | zstd --quiet -T0 -o "$archive.part"
  mv "$archive.part" "$archive"
}

mkdir -p build/lab
provide bookworm debian12 'docker.io iptables' & first=$!
provide trixie debian13 'docker.io docker-cli iptables' & second=$!
wait "$first"
wait "$second"

# Here, and not by each scenario: several that start at once would make several networks of the same name.
docker network inspect stronghold-lab >/dev/null 2>&1 || docker network create stronghold-lab >/dev/null
