#!/usr/bin/env bash
# Makes environments for programs that others wrote: they want other versions of our libraries, so each gets its own.
# tests/environments.sh FOLDER NAME...   NAME: of a lock in requirements/clients
set -euo pipefail
requirements="$(cd "$(dirname "$0")/../requirements/clients" && pwd)"
folder="$1"
shift
for name in "$@"; do
    environment="$folder/$name"
    lock="$requirements/$name.lock"
    if [ -f "$environment/.ready" ] && [ "$environment/.ready" -nt "$lock" ]; then continue; fi
    uv venv --quiet --clear --python 3.11 "$environment"
    uv pip install --quiet --python "$environment/bin/python" --require-hashes --no-deps -r "$lock"
    touch "$environment/.ready"
done
