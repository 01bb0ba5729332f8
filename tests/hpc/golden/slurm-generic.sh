#!/bin/bash -l
# Stage `train` as a job of Slurm. Site: any cluster with Slurm.
# Written by Wattline: what should change belongs into deploy/sites/ or into `hpc` of params.yaml.
# A login shell, since `module`, $WORK and the like come from there; nothing of who submits is passed on.

#SBATCH --job-name=wattline-train-0123abcd
#SBATCH --chdir=/project/wattline
#SBATCH --output=/project/wattline/reports/jobs/train/job.log
#SBATCH --open-mode=append
# After a preemption, a dead node or a time limit the same job begins again, and a training goes on.
#SBATCH --requeue
#SBATCH --signal=USR1@120
# Nothing of the environment that submits travels: what the job needs is exported below.
#SBATCH --export=NIL
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=3072M
#SBATCH --time=60

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

# Where the processes of this job meet: a port of its first node that follows from the job's number.
export MASTER_ADDR=127.0.0.1
export MASTER_PORT=$((15000 + SLURM_JOB_ID % 15000))

cd /project/wattline || give_up 'the project is not there on this node'
export WATTLINE_STATE=/project/wattline/.wattline
export OMP_NUM_THREADS=2
export WATTLINE_OFFLINE=1
export PYTHONUNBUFFERED=1
export WATTLINE_SITE=slurm-generic

# What the stage runs in.
environment="/project/wattline/.venv"
[ -x "$environment/bin/python" ] || give_up "there is no virtual environment at $environment; run: wattline stage-in"
export VIRTUAL_ENV="$environment" PATH="$environment/bin:$PATH"

# USR1 before the time limit goes to the stage alone, which ignores it until a training listens.
[ -z "$told" ] || exit 143
code=0
srun --export=ALL --nodes=1 --ntasks-per-node=1 --cpus-per-task=2 \
    bash -c 'trap "" USR1 && exec "$@"' job \
    wattline run train --site local || code=$?

# 143: the stage was told to end. This script may hear of that after it.
[ "$code" != 143 ] || told=yes
# 75: a training kept a checkpoint and would go on. Slurm itself requeues what it preempted, and what was
# cancelled must not come back: so this is only done where the script was not told to end.
if [ "$code" = 75 ] && [ -z "$told" ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge 20 ]; then
        echo "wattline: paused after 20 restarts (hpc.maximum_restarts); run it again to go on" >&2
    else
        again=yes
        scontrol requeue "$SLURM_JOB_ID" || again=
    fi
fi
[ "$code" = 0 ] || exit "$code"
