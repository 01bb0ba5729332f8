#!/usr/bin/env bash
# Builds the server's image of a fetched model: docker/build.sh [TAG], docs/image.md says more.
# MODEL: its folder, champion or build/model. KEY: public key that the server trusts, .wattline/keys/public.pem or
# build/public.pem. BUILDER: docker, podman or buildah. BASE: another base. CA_BUNDLE, PIP_CONF: files for a mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-wattline-server:$(git rev-parse --short=12 HEAD)}
builder=${BUILDER:-docker}
# Python 3.11.16 on Debian 13, as it was in November 2026. Take over a newer one after the tests have passed on it.
base=${BASE:-python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7}

commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain -- src docker requirements params.yaml)" ] || commit+="-dirty"
model=${MODEL:-champion}
key=${KEY:-.wattline/keys/public.pem}
said() { sed -n "s/^  \"$1\": *\"\($2\)\",\{0,1\}\$/\1/p" "$model/champion.json" 2> /dev/null || true; }
digest=$(said digest '[0-9a-f]\{64\}')
[ -n "$digest" ] || { echo "$model/ holds no model; run 'wattline champion' after a promotion, or 'wattline fetch'" >&2; exit 2; }
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/wattline/__init__.py)

options=(--file docker/server.Dockerfile --tag "$tag")
for argument in BASE="$base" COMMIT="$commit" MODEL="$model" KEY="$key" MODEL_DIGEST="$digest" \
    MODEL_NAME="$(said name '[^"]*')" MODEL_VERSION="$(said version '[0-9]*')" VERSION="$version" \
    SOURCE="${CI_PROJECT_URL:-}"; do
    options+=(--build-arg "$argument")
done
[ -z "${CA_BUNDLE:-}" ] || options+=(--secret "id=ca_bundle,src=$CA_BUNDLE")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip_conf,src=$PIP_CONF")
# The OCI format has no place for a HEALTHCHECK.
case $builder in *podman | *buildah) options+=(--format docker) ;; esac
"$builder" build "${options[@]}" .
echo "$tag"
