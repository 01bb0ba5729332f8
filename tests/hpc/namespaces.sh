#!/usr/bin/env bash
# Slurm on several machines that are namespaces: each node has its own network, host name and processes.
#   namespaces.sh run FOLDER NODES COMMAND...   brings n1, n2, ... and a controller up and runs COMMAND beside the controller;
#                                               everything ends with it
# COMMAND may call these, when it is a bash script:
#   node_kill n1     power loss: all processes of the node are killed
#   node_start n1    power is back
#   node_cut n1      the node's cable is pulled; it runs on
#   node_join n1     and put back
# From the environment: NODE_CPUS (2), NODE_MEMORY (4000 MB), SLURMD_SECONDS (5) until a silent node is down, EXTRA (lines
# for slurm.conf). Needs root or user namespaces, and /etc/hosts, over which a file is mounted.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
command=${1:?run}
folder=$(mkdir -p "${2:?FOLDER}" && cd "$2" && pwd -P)
nodes=${3:?NODES}
shift 3

if [ "$command" = run ]; then
    namespaces=(--net --mount --uts --pid --fork --kill-child --mount-proc)
    # Daemons of Slurm call setgroups as root, which a user namespace refuses: root goes without one.
    if [ "$(id -u)" != 0 ]; then namespaces+=(--user --map-current-user --keep-caps); fi
    exec unshare "${namespaces[@]}" bash "$0" inside "$folder" "$nodes" "$@"
fi

mkdir -p "$folder"/{etc,run,log,state,spool,munge}
chmod 700 "$folder/munge"
hostname controller
ip link set lo up
ip link add bridge type bridge
ip addr add 10.77.0.254/24 dev bridge
ip link set bridge up
{
    echo "127.0.0.1 localhost"
    echo "10.77.0.254 controller"
    for number in $(seq "$nodes"); do echo "10.77.0.$number n$number"; done
} > "$folder/etc/hosts"
mount --bind "$folder/etc/hosts" /etc/hosts
[ -s "$folder/munge/key" ] || (umask 077 && head -c 128 /dev/urandom > "$folder/munge/key")
munged --force --key-file="$folder/munge/key" --socket="$folder/run/munge.socket" --pid-file="$folder/run/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed" 2> "$folder/log/munged.out"
cat > "$folder/etc/slurm.conf" << CONF
ClusterName=test
SlurmctldHost=controller(10.77.0.254)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=10000,bf_interval=1
SlurmdTimeout=${SLURMD_SECONDS:-5}
MessageTimeout=3
KillWait=5
TCPTimeout=2
ReturnToService=2
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobcomp.txt
NodeName=n[1-$nodes] NodeAddr=n[1-$nodes] CPUs=${NODE_CPUS:-2} RealMemory=${NODE_MEMORY:-4000}
PartitionName=main Nodes=ALL Default=YES DefaultTime=10 State=UP
${EXTRA:-}
CONF
export SLURM_CONF="$folder/etc/slurm.conf" folder

# A machine of its own: its first process is a shell, with slurmd as a child.
node_start() {
    local node=$1 first
    # shellcheck disable=SC2016 # the inner shell fills them in
    unshare --net --uts --pid --mount --fork --kill-child bash -c '
        mount -t proc proc /proc
        hostname "$1"
        ip link set lo up
        for _ in $(seq 100); do
            if ip link show eth0 > /dev/null 2>&1; then break; fi
            sleep 0.02
        done
        ip addr add "10.77.0.${1#n}/24" dev eth0
        ip link set eth0 up
        ip route add default via 10.77.0.254
        slurmd -D -N "$1" -f "$SLURM_CONF" &
        wait' bash "$node" > "$folder/log/$node.out" 2>&1 &
    for _ in $(seq 100); do
        first=$(cat "/proc/$!/task/$!/children" 2> /dev/null || true)
        if [ -n "$first" ]; then break; fi
        sleep 0.02
    done
    first=${first% }
    echo "$first" > "$folder/run/$node.first"
    ip link del "cable-$node" 2> /dev/null || true
    ip link add "cable-$node" type veth peer name eth0 netns "$first"
    ip link set "cable-$node" master bridge up
}
# shellcheck disable=SC2329 # COMMAND calls these
node_kill() { kill -KILL "$(cat "$folder/run/$1.first")"; }
# shellcheck disable=SC2329
node_cut() { ip link set "cable-$1" down; }
# shellcheck disable=SC2329
node_join() { ip link set "cable-$1" up; }
export -f node_start node_kill node_cut node_join

slurmctld -i -f "$SLURM_CONF" > "$folder/log/slurmctld.out" 2>&1
for number in $(seq "$nodes"); do node_start "n$number"; done
for _ in $(seq 200); do
    if [ "$(timeout 2 sinfo -h -N -t idle -o %N 2> /dev/null | sort -u | wc -l)" = "$nodes" ]; then
        "$@"
        exit
    fi
    sleep 0.1
done
echo "the machines did not come up; see $folder/log" >&2
exit 1
