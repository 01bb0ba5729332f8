#!/bin/sh
# `wattline` of the training image: runs the Wattline of the project that is mounted, since the image holds packages only.
if [ ! -d src/wattline ]; then
    echo "wattline: $PWD holds no src/wattline; mount the project into the container and start in its folder" >&2
    exit 2
fi
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
exec /opt/wattline/bin/python -m wattline "$@"
