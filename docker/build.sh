#!/usr/bin/env bash
# Builds the server's image of what lies in champion/: docker/build.sh [TAG], docs/image.md says more.
# BUILDER: docker, podman or buildah. BASE: another base image. CA_BUNDLE, PIP_CONF: files for sites with a mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-wattline-server:$(git rev-parse --short=12 HEAD)}
builder=${BUILDER:-docker}
# Python 3.11.16 on Debian 13, as it was in November 2026. Take over a newer one after the tests have passed on it.
base=${BASE:-python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7}

commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain -- src docker requirements params.yaml)" ] || commit+="-dirty"
digest=$(sed -n 's/.*"digest": *"\([0-9a-f]\{64\}\)".*/\1/p' champion/champion.json 2> /dev/null || true)
[ -n "$digest" ] || { echo "champion/ holds no model; run 'wattline champion' after a promotion" >&2; exit 2; }
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/wattline/__init__.py)

options=(--file docker/server.Dockerfile --tag "$tag")
for argument in BASE="$base" COMMIT="$commit" MODEL_DIGEST="$digest" VERSION="$version" SOURCE="${CI_PROJECT_URL:-}"; do
    options+=(--build-arg "$argument")
done
[ -z "${CA_BUNDLE:-}" ] || options+=(--secret "id=ca_bundle,src=$CA_BUNDLE")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip_conf,src=$PIP_CONF")
# The OCI format has no place for a HEALTHCHECK.
case $builder in *podman | *buildah) options+=(--format docker) ;; esac
"$builder" build "${options[@]}" .
echo "$tag"
