#!/usr/bin/env bash
# Sets up the environment of a job, in a bare image of Python or on a machine that has everything: ci/setup.sh [containers]
# containers: what builds images, too: BUILDER, or else buildah.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A packages=([git]=git [make]=make)
if [ "${1:-}" = containers ]; then
    builder=${BUILDER:-buildah}
    case ${builder##*/} in docker) packages[$builder]=docker.io ;; *) packages[$builder]=${builder##*/} ;; esac
fi
absent=()
for command in "${!packages[@]}"; do
    command -v "$command" > /dev/null || absent+=("${packages[$command]}")
done
if [ ${#absent[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "ci/setup.sh: ${absent[*]} missing; install them on this runner, or set WATTLINE_CI_IMAGE to an image that has them" >&2
        exit 2
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=600 update
    apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${absent[@]}" > /dev/null
fi
# A runner may leave the files of variables open to all, and a private key that others can read is refused.
for key in "${WATTLINE_SIGNING_KEY:-}" "${WATTLINE_MODEL_SIGNING_KEY:-}"; do
    if [ -f "$key" ] && [ -O "$key" ]; then chmod 600 "$key"; fi
done
# The checkout may belong to another user than the job's.
git rev-parse --git-dir > /dev/null 2>&1 || git config --global --add safe.directory "$PWD"
make setup
