#!/usr/bin/env bash
# Regenerates the hashed locks from the .in files. torch stays out of them: its CPU and CUDA builds share a version, so
# requirements/torch.lock holds the hashes of both, and is written by hand. FIND_LINKS names a folder with a torch wheel
# where the index has no CPU build.
set -euo pipefail
cd "$(dirname "$0")"
links=()
[ -n "${FIND_LINKS:-}" ] && links=(--find-links "$FIND_LINKS")
lock() {
    uv pip compile --python-version 3.11 "${links[@]}" --generate-hashes --no-emit-package torch --no-header -q "$@"
}
lock dev.in -o dev.lock # the superset first: the smaller set is constrained by it
lock core.in -c dev.lock -o core.lock
