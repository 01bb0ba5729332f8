#!/usr/bin/env bash
# Regenerates the hashed locks from the .in files. torch stays out of them: which of its builds is installed
# is chosen with the locks torch-cpu.lock and torch.lock, which are written by hand. FIND_LINKS names a folder with a
# torch wheel where the index has no CPU build.
set -euo pipefail
cd "$(dirname "$0")"
links=()
[ -n "${FIND_LINKS:-}" ] && links=(--find-links "$FIND_LINKS")
lock() {
    uv pip compile --python-version 3.11 "${links[@]}" --generate-hashes --no-emit-package torch --no-header -q "$@"
}
lock dev.in -o dev.lock # the superset first: the smaller set is constrained by it
lock core.in -c dev.lock -o core.lock
lock serve.in -c dev.lock -o serve.lock
for client in clients/*.in; do
    uv pip compile --python-version 3.11 --generate-hashes --no-header -q "$client" -o "${client%.in}.lock"
done
# uv alone, because it installs the others
sed -n '/^uv==/,/^    # via/p' dev.lock | grep -v '# via' > uv.lock
