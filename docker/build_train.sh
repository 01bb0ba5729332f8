#!/usr/bin/env bash
# Builds the training image and writes it as one file for a site without Docker: docker/build_train.sh [FILE]
# FILE, build/train.tar by default, holds the image's files, for Charliecloud. Called *.oci.tar it is an archive of the
# image itself, for Apptainer. `wattline stage-in --site SITE --image FILE` makes of it what the site's profile names.
# BUILDER: docker, podman or buildah. BASE: another base. TORCH: cpu, or index for the build of the package index, which
# has CUDA. CA_BUNDLE, PIP_CONF: files for a mirror. TAG: what the image is called.
set -euo pipefail
file=$(realpath -m "${1:-$(dirname "$0")/../build/train.tar}")
cd "$(dirname "$0")/.."
builder=${BUILDER:-docker}
torch=${TORCH:-cpu}
# Python 3.11.16 on Debian 13, as in docker/build.sh.
base=${BASE:-python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7}
case $torch in
    cpu) lock=requirements/torch-cpu.lock ;;
    index) lock=requirements/torch.lock ;;
    *) echo "TORCH is $torch; set it to cpu or index" >&2; exit 2 ;;
esac
# Equal locks, equal packages: the tag says no more than that.
locks=$(cat requirements/core.lock "$lock" | sha256sum | cut -d ' ' -f 1)
tag=${TAG:-localhost/wattline-train:${locks:0:12}}

options=(--file docker/train.Dockerfile --tag "$tag")
for argument in BASE="$base" LOCKS="$locks" TORCH="$torch" SOURCE="${CI_PROJECT_URL:-}"; do
    options+=(--build-arg "$argument")
done
[ -z "${CA_BUNDLE:-}" ] || options+=(--secret "id=ca_bundle,src=$CA_BUNDLE")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip_conf,src=$PIP_CONF")
"$builder" build "${options[@]}" . >&2

# Written beside it first: a file that is there is whole.
mkdir -p "$(dirname "$file")"
trap 'rm -f "$file.part"' EXIT
case $builder:$file in
    *docker:*.oci.tar) "$builder" save --output "$file.part" "$tag" ;;
    *.oci.tar) "$builder" push --quiet "$tag" "oci-archive:$file.part" ;;
    *buildah:*)
        container=$("$builder" from --pull-never "$tag")
        "$builder" run --user 0 "$container" tar -C / --one-file-system -cf - . > "$file.part"
        "$builder" rm "$container" > /dev/null
        ;;
    *)
        container=$("$builder" create "$tag")
        "$builder" export --output "$file.part" "$container"
        "$builder" rm "$container" > /dev/null
        ;;
esac
mv "$file.part" "$file"
echo "$file: $tag"
