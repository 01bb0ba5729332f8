#!/usr/bin/env bash
# One DVC experiment in a workspace of its own: deploy/experiment.sh NAME [options of `dvc exp run`]
#
#   sbatch --wrap 'deploy/experiment.sh components-8 --set-param node_anomaly.train.components=8'
#   dvc exp show        # in the project: all experiments whose jobs have ended
#
# DVC's lock does not hold across hosts, so two jobs must never run in one workspace. Each gets a clone of what is
# committed here, on the job's scratch ($TMPDIR); all share the project's DVC cache, and hand their result back as an
# experiment of the project. `--queue` and `--temp` would work in the project's own .dvc folder, and are refused.
set -euo pipefail

refuse() {
    echo "experiment: $1" >&2
    exit 2
}

name=${1:-}
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || refuse "give a name of letters, digits, - and _ first, got '$name'"
shift
for option in "$@"; do
    case $option in # DVC takes the beginning of an option for the option
        --que* | --t* | --ru* | --j* | --na* | -j* | -n*) refuse "$option does not go with a workspace per job; leave it out" ;;
    esac
done
project=$(git rev-parse --show-toplevel) || refuse "run this in the project"
cd "$project"
if [ -n "$(git for-each-ref "refs/exps/*/*/$name")" ]; then
    refuse "there is an experiment $name already; choose another name, or remove it: dvc exp remove $name"
fi
if ! git diff --quiet HEAD --; then
    echo "experiment: what is not committed here does not take part" >&2
fi
cache=$(dvc cache dir)
types=$(dvc config cache.type 2> /dev/null || true)
workspace=$(mktemp -d "${TMPDIR:-/tmp}/experiment-$name-XXXXXX")
leave() {
    for child in $(jobs -p); do kill -TERM -- "-$child" 2> /dev/null || true; done
    wait
    rm -rf "$workspace"
}
trap leave EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

git clone --quiet --shared "$project" "$workspace/project"
export WATTLINE_STATE="${WATTLINE_STATE:-$project/.wattline}"
cd "$workspace/project"
dvc cache dir --quiet --local "$cache"
if [ -n "$types" ]; then dvc config --quiet --local cache.type "$types"; fi
dvc checkout --quiet --allow-missing
# In the background, so that a signal is answered at once; a group of its own, so that the stage ends with it.
setsid dvc exp run --name "$name" "$@" &
wait $!
# The cache is the project's own: only the reference goes back.
dvc exp push --quiet --no-cache "$project" "$name"
echo "experiment: $name is in $project; dvc exp show, or dvc exp apply $name"
