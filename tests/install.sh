#!/usr/bin/env bash
# Installs Debian's packages that tests need: install.sh FOLDER charliecloud|containers|executor|monitoring|mqtt|postgres|registry|slurm. Quiet, and quick where all is there.
# charliecloud: ch-run, installed; ch-convert, unpacked, since its package would bring Docker's daemon.
# containers: builds and runs images; needs root.
# monitoring: prometheus, promtool, amtool and node_exporter, unpacked into FOLDER/tools, since their packages would start daemons.
# mqtt: mosquitto, a broker, with the libraries that this machine lacks; unpacked for the same reason.
# postgres: the same for PostgreSQL 15 with the libraries it needs and this machine lacks.
# registry: a registry of images, unpacked for the same reason.
# slurm: Slurm with accounting, and MariaDB for it; installed, as Slurm looks for its plugins in /usr/lib. Daemons are not started.
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

# Unpacks packages: unpack NAME ...
unpack() {
    local packages
    packages=$(mktemp -d)
    # The packages' own user of apt may not enter a folder of root's.
    (cd "$packages" && apt -o APT::Sandbox::User=root download "$@")
    for package in "$packages"/*.deb; do
        dpkg-deb --extract "$package" "$folder/tools"
    done
    rm -r "$packages"
}

monitoring() {
    local absent=()
    command -v promtool > /dev/null || [ -x "$folder/tools/usr/bin/promtool" ] || absent+=(prometheus)
    command -v amtool > /dev/null || [ -x "$folder/tools/usr/bin/amtool" ] || absent+=(prometheus-alertmanager)
    command -v prometheus-node-exporter > /dev/null || [ -x "$folder/tools/usr/bin/prometheus-node-exporter" ] ||
        absent+=(prometheus-node-exporter)
    [ ${#absent[@]} -gt 0 ] || return 0
    apt update
    unpack "${absent[@]}"
}

mqtt() {
    local absent
    if command -v mosquitto > /dev/null || [ -x "$folder/tools/usr/sbin/mosquitto" ]; then return; fi
    apt update
    mapfile -t absent < <(
        apt --simulate install --no-install-recommends mosquitto |
            awk '$1 == "Inst" && $3 !~ /^\[/ && $2 !~ /^adduser/ {print $2}'
    )
    unpack "${absent[@]}"
}

executor() {
    if command -v rsync > /dev/null; then return; fi
    apt update
    apt install -y --no-install-recommends rsync > /dev/null
}

registry() {
    if command -v docker-registry > /dev/null || [ -x "$folder/tools/usr/bin/docker-registry" ]; then return; fi
    apt update
    unpack docker-registry
}

postgres() {
    local absent
    # PostgreSQL runs as a user who is not root, and who has to reach it: the folder opens for those who know the way.
    chmod 711 "$folder"
    if [ -x "$folder/tools/usr/lib/postgresql/15/bin/postgres" ]; then return; fi
    apt update
    # Without the languages of all the world and without the compiler for long queries.
    mapfile -t absent < <(
        apt --simulate install --no-install-recommends postgresql-15 |
            awk '$1 == "Inst" && $3 !~ /^\[/ && $2 !~ /^(locales|libllvm|libz3|perl|ssl-cert|postgresql-common)/ {print $2}'
    )
    unpack "${absent[@]}"
}

charliecloud() {
    if [ ! -x "$folder/tools/usr/bin/ch-convert" ]; then
        apt update
        unpack charliecloud-common charliecloud-builders
    fi
    if command -v ch-run > /dev/null; then return; fi
    apt update
    apt install -y --no-install-recommends charliecloud-runtime > /dev/null
}

slurm() {
    local guard=/usr/sbin/policy-rc.d
    apt update
    # Debian starts daemons when their packages are installed, unless this says no.
    if [ ! -e "$guard" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        install -m 755 <(printf '#!/bin/sh\nexit 101\n') "$guard"
    fi
    apt install -y --no-install-recommends \
        slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin munge mariadb-server iproute2 > /dev/null
}

"$2"
