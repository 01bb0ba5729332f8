#!/usr/bin/env bash
# Makes an environment for each client that others wrote: they want other versions of our libraries, so they get their own.
# tests/serving/clients/install.sh FOLDER
set -euo pipefail
requirements="$(cd "$(dirname "$0")/../../../requirements/clients" && pwd)"
folder="$1"
for lock in "$requirements"/*.lock; do
    environment="$folder/$(basename "$lock" .lock)"
    if [ -f "$environment/.ready" ] && [ "$environment/.ready" -nt "$lock" ]; then continue; fi
    uv venv --quiet --clear --python 3.11 "$environment"
    uv pip install --quiet --python "$environment/bin/python" --require-hashes --no-deps -r "$lock"
    touch "$environment/.ready"
done
