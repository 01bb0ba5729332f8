#!/usr/bin/env bash
# Installs Debian's packages that tests need: install.sh FOLDER containers|monitoring. Quiet, and quick where all is there.
# containers: builds and runs images; needs root.
# monitoring: prometheus, promtool and amtool, unpacked into FOLDER/tools, since their packages would start daemons.
set -euo pipefail
folder=$1
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-unsafe-io "$@"; }

containers() {
    local absent=()
    for command in buildah podman runc mmdebstrap catatonit netavark; do
        [ -e "/usr/lib/podman/$command" ] || command -v "$command" > /dev/null || absent+=("$command")
    done
    [ ${#absent[@]} -gt 0 ] || return 0
    apt update
    apt install -y --no-install-recommends "${absent[@]}" > /dev/null
}

monitoring() {
    local absent=() packages
    command -v promtool > /dev/null || [ -x "$folder/tools/usr/bin/promtool" ] || absent+=(prometheus)
    command -v amtool > /dev/null || [ -x "$folder/tools/usr/bin/amtool" ] || absent+=(prometheus-alertmanager)
    [ ${#absent[@]} -gt 0 ] || return 0
    apt update
    packages=$(mktemp -d)
    # The packages' own user of apt may not enter a folder of root's.
    (cd "$packages" && apt -o APT::Sandbox::User=root download "${absent[@]}")
    for package in "$packages"/*.deb; do
        dpkg-deb --extract "$package" "$folder/tools"
    done
    rm -r "$packages"
}

"$2"
