#!/bin/bash -l
# Stage `train` as a job of Flux. Site: any system with Flux; not run there.
# Written by Wattline: what should change belongs into deploy/sites/ or into `hpc` of params.yaml.
# A login shell, since `module`, $WORK and the like come from there; nothing of who submits is passed on.
# Flux leaves it to the site how much memory a job has, and begins no job again: run the stage again instead.
# flux: --job-name=wattline-train-0123abcd
# flux: --cwd=/project/wattline
# flux: --output=/project/wattline/reports/jobs/train/job.log
# flux: --setopt=output.mode=append
# flux: '--env=-*'
# flux: --env=HOME
# flux: --env=USER
# flux: --env=LOGNAME
# flux: --env=SHELL
# flux: --env=PATH
# flux: --nodes=1
# flux: --nslots=1
# flux: --cores-per-slot=2
# flux: --time-limit=60m

set -u
exit_code=/project/wattline/reports/jobs/train/exit_code-0123abcd
copy="0123abcd.${SLURM_RESTART_COUNT:-0}"  # where a node's daemon died, an old one may live on beside a new one
told=''   # whether this script was told to end: by scancel, a preemption or the time limit
again=''  # whether the job begins again
private=''  # a folder that is removed in the end; what a login shell calls by that name is somebody else's
trap 'told=yes' TERM

# The exit code appears at once, and only when the job is over: who was told to end may begin again, and a
# copy that lives on does not speak for the one that began after it.
leave() {
    local code=$?
    [ -z "$private" ] || rm -rf "$private"
    if [ -z "$told$again" ] && [ "$(< "$exit_code.copy")" = "$copy" ]; then
        echo "$code" > "$exit_code.part" && mv -f "$exit_code.part" "$exit_code"
    fi
}
trap leave EXIT
rm -f "$exit_code"
echo "$copy" > "$exit_code.copy"

give_up() {
    echo "wattline: $1" >&2
    exit 2
}

# Where the processes of this job meet: this script runs on the first of its nodes.
MASTER_ADDR=127.0.0.1
export MASTER_ADDR
export MASTER_PORT=19957

cd /project/wattline || give_up 'the project is not there on this node'
export WATTLINE_STATE=/project/wattline/.wattline
export OMP_NUM_THREADS=2
export WATTLINE_OFFLINE=1
export PYTHONUNBUFFERED=1
export WATTLINE_SITE=flux-generic

# What the stage runs in.
environment="/project/wattline/.venv"
[ -x "$environment/bin/python" ] || give_up "there is no virtual environment at $environment; run: wattline stage-in"
export VIRTUAL_ENV="$environment" PATH="$environment/bin:$PATH"

[ -z "$told" ] || exit 143
code=0
# The stage is told before the time limit. All jobs of this small Flux are this one.
{ sleep 3480 & pause=$!; trap 'kill "$pause"' TERM;
    wait "$pause" && flux job killall -f -s USR1; } > /dev/null 2>&1 &
notice=$!
flux run --nodes=1 --ntasks=1 --cores-per-task=2 \
    bash -c 'trap "" USR1 && exec "$@"' job \
    wattline run train --site local || code=$?
kill "$notice" 2> /dev/null
[ "$code" = 0 ] || exit "$code"
