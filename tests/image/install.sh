#!/usr/bin/env bash
# Installs what tests/image needs, as root on Debian: install.sh FOLDER. Quiet, and quick where everything is there.
# promtool and amtool are unpacked into FOLDER/tools: their packages would start daemons.
set -euo pipefail
folder=$1
wanted=(buildah podman runc mmdebstrap catatonit netavark)
absent=()
for command in "${wanted[@]}"; do
    [ -e "/usr/lib/podman/$command" ] || command -v "$command" > /dev/null || absent+=("$command")
done
tools=()
command -v promtool > /dev/null || [ -x "$folder/tools/usr/bin/promtool" ] || tools+=(prometheus)
command -v amtool > /dev/null || [ -x "$folder/tools/usr/bin/amtool" ] || tools+=(prometheus-alertmanager)
[ $((${#absent[@]} + ${#tools[@]})) -gt 0 ] || exit 0

export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-unsafe-io)
apt-get "${options[@]}" update
if [ ${#absent[@]} -gt 0 ]; then
    apt-get "${options[@]}" install -y --no-install-recommends "${absent[@]}" > /dev/null
fi
if [ ${#tools[@]} -gt 0 ]; then
    packages=$(mktemp -d)
    trap 'rm -rf "$packages"' EXIT
    (cd "$packages" && apt-get "${options[@]}" download "${tools[@]}")
    for package in "$packages"/*.deb; do
        dpkg-deb --extract "$package" "$folder/tools"
    done
fi
