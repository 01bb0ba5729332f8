#!/usr/bin/env bash
# A private Slurm cluster in one folder, on one machine, as the user who calls: for tests.
#   cluster.sh start FOLDER [NODES]         munged, slurmctld and NODES times slurmd on loopback; with ACCOUNTING=1 slurmdbd, too
#   cluster.sh stop FOLDER                  stops them by pid, and what their jobs left
#   cluster.sh status FOLDER
#   cluster.sh node-kill FOLDER NODE        power loss: slurmd, its step daemons and every process of a job there are killed
#   cluster.sh slurmd-kill FOLDER NODE      slurmd alone is killed; its jobs run on (two copies, once the node is declared down)
#   cluster.sh node-start FOLDER NODE       starts a slurmd again
#   cluster.sh counter-stop FOLDER NODE     ends its energy counter
#   cluster.sh energy-node FOLDER NODE WATTS   restarts a node with an energy counter (see energy_node.sh)
# Then: export SLURM_CONF=FOLDER/etc/slurm.conf
# From the environment:
#   NODE_PREFIX (n)       names of nodes are NODE_PREFIX followed by 1, 2, ...; 127.0.0.1 makes them addresses that resolve
#   NODE_CPUS (2), NODE_MEMORY (4000 MB), NODE_GPUS (0; fake ones: CUDA_VISIBLE_DEVICES is set, nothing is behind it)
#   ACCOUNTING (0)        1: mariadbd and slurmdbd, so that sacct works
#   CREDENTIAL_SECONDS (5)   how long a requeued job waits
#   SLURMD_SECONDS (10)   without an answer until a node is down
#   MESSAGE_SECONDS (10), KILL_SECONDS (5)
#   EXTRA                 lines for slurm.conf
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
here=$(cd "$(dirname "$0")" && pwd -P)
command=${1:?start, stop, status, node-kill, slurmd-kill, node-start or energy-node}
folder=$(mkdir -p "${2:?FOLDER}" && cd "$2" && pwd -P)
export SLURM_CONF="$folder/etc/slurm.conf"

# A daemon whose parent does not reap it stays a zombie, which kill -0 takes for alive.
running() {
    local state
    state=$(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null) || return 1
    [ "${state:0:1}" != Z ]
}

# Ends the process that a file names: stop_pid FILE [SIGNAL]
stop_pid() {
    local process
    [ -s "$1" ] || return 0
    process=$(cat "$1")
    kill "-${2:-TERM}" "$process" 2> /dev/null || true
    for _ in $(seq 100); do
        if ! running "$process"; then
            rm -f "$1"
            return
        fi
        sleep 0.05
    done
    kill -KILL "$process" 2> /dev/null || true
    rm -f "$1"
}

# The first of $1 consecutive free ports on loopback, below those that the kernel hands out.
free_ports() {
    python3 - "$1" << 'PYTHON'
import random
import socket
import sys

for _ in range(200):
    first = random.randrange(20000, 32000)
    taken = []
    try:
        for port in range(first, first + int(sys.argv[1])):
            taken.append(socket.create_server(("127.0.0.1", port)))
    except OSError:
        continue
    finally:
        for listener in taken:
            listener.close()
    print(first)
    break
else:
    sys.exit("no row of free ports on 127.0.0.1")
PYTHON
}

start_munge() {
    [ -s "$folder/munge/key" ] || (umask 077 && head -c 128 /dev/urandom > "$folder/munge/key")
    # --force: a folder below /tmp counts as insecure, as its parent can be written to by everybody.
    munged --force --key-file="$folder/munge/key" --socket="$folder/run/munge.socket" \
        --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed" \
        --num-threads=2 2> "$folder/log/munged.out"
}

start_accounting() {
    local database=(--no-defaults -S "$folder/run/database.sock" -u root)
    mkdir -p "$folder/database"
    chmod 700 "$folder/database"
    mariadb-install-db --no-defaults --datadir="$folder/database" --user="$user" \
        --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
        --innodb-log-file-size=16M --innodb-buffer-pool-size=64M > "$folder/log/database-install.out" 2>&1
    mariadbd --no-defaults --user="$user" --datadir="$folder/database" --socket="$folder/run/database.sock" \
        --pid-file="$folder/run/mariadbd.pid" --bind-address=127.0.0.1 --port="$database_port" \
        --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900 \
        --innodb-flush-log-at-trx-commit=0 --skip-name-resolve > "$folder/log/mariadbd.out" 2>&1 &
    for _ in $(seq 400); do
        if mariadb-admin "${database[@]}" ping > /dev/null 2>&1; then break; fi
        sleep 0.05
    done
    # Without a password: the socket and the port are this machine's, and what is in it are sleeping jobs.
    mariadb "${database[@]}" -e "create database slurm; create user slurm@127.0.0.1; grant all on slurm.* to slurm@127.0.0.1"
    cat > "$folder/etc/slurmdbd.conf" << CONF
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$slurmdbd_port
SlurmUser=$user
PidFile=$folder/run/slurmdbd.pid
LogFile=$folder/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$database_port
StorageUser=slurm
StorageLoc=slurm
CONF
    chmod 600 "$folder/etc/slurmdbd.conf"
    slurmdbd -s > "$folder/log/slurmdbd.out" 2>&1
    for _ in $(seq 400); do
        if (exec 3<> "/dev/tcp/127.0.0.1/$slurmdbd_port") 2> /dev/null; then return; fi
        sleep 0.05
    done
    echo "slurmdbd did not come up; see $folder/log/slurmdbd.log" >&2
    exit 1
}

write_configuration() {
    local address=127.0.0.1 gres=""
    if [[ "$prefix" = 127.* ]]; then address="${prefix}[1-$nodes]"; fi
    if [ "${NODE_GPUS:-0}" -gt 0 ]; then
        gres="Gres=gpu:$NODE_GPUS"
        # Files of GPUs have to be character devices.
        echo "NodeName=${prefix}[1-$nodes] Name=gpu File=/dev/tty[0-$((NODE_GPUS - 1))]" > "$folder/etc/gres.conf"
    fi
    cat > "$SLURM_CONF" << CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$first_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=${CREDENTIAL_SECONDS:-5}
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
# One host without systemd and cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
# Jobs start at once, and a dead node is noticed soon.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=10000,bf_interval=1
SlurmctldTimeout=10
SlurmdTimeout=${SLURMD_SECONDS:-10}
InactiveLimit=0
KillWait=${KILL_SECONDS:-5}
MessageTimeout=${MESSAGE_SECONDS:-10}
TCPTimeout=2
MinJobAge=300
ReturnToService=2
JobRequeue=1
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobcomp.txt
$accounting
${gres:+GresTypes=gpu}
NodeName=${prefix}[1-$nodes] NodeHostname=$(hostname -s) NodeAddr=$address Port=[$((first_port + 1))-$((first_port + nodes))] CPUs=${NODE_CPUS:-2} RealMemory=${NODE_MEMORY:-4000} $gres State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=UNLIMITED DefaultTime=10 State=UP OverSubscribe=NO
${EXTRA:-}
CONF
}

start() {
    local accounting="AccountingStorageType=accounting_storage/none"
    nodes=$1 prefix=${NODE_PREFIX:-n} user=$(id -un)
    first_port=$(free_ports $((nodes + 3)))
    slurmdbd_port=$((first_port + nodes + 1)) database_port=$((first_port + nodes + 2))
    umask 022
    mkdir -p "$folder"/{etc,run,log,state,spool,munge}
    chmod 755 "$folder" "$folder/run"
    chmod 700 "$folder/munge"
    start_munge
    if [ "${ACCOUNTING:-0}" = 1 ]; then
        accounting="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$slurmdbd_port
AccountingStoragePass=$folder/run/munge.socket
AccountingStorageTRES=energy"
    fi
    write_configuration
    if [ "${ACCOUNTING:-0}" = 1 ]; then start_accounting; fi
    slurmctld -i -f "$SLURM_CONF" > "$folder/log/slurmctld.out" 2>&1
    for number in $(seq "$nodes"); do start_node "$prefix$number"; done
    for _ in $(seq 300); do
        if [ "$(sinfo -h -N -t idle -o %N 2> /dev/null | sort -u | wc -l)" = "$nodes" ]; then return; fi
        sleep 0.1
    done
    echo "the cluster did not come up; see $folder/log" >&2
    exit 1
}

start_node() {
    mkdir -p "$folder/spool/$1"
    slurmd -N "$1" -f "$SLURM_CONF" > "$folder/log/$1.out" 2>&1
}

# Kills all that belongs to a node: slurmd and its step daemons hold its log open, jobs carry its name and our configuration.
kill_node() {
    local found
    mapfile -t found < <({
        find /proc/[0-9]*/fd -lname "$folder/log/$1.log" 2> /dev/null || true
        # shellcheck disable=SC2046 # paths without blanks
        grep -lzxF "SLURMD_NODENAME=$1" $(grep -lzxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ 2> /dev/null) /dev/null 2> /dev/null || true
    } | cut -d / -f 3 | sort -u)
    if [ ${#found[@]} -gt 0 ]; then kill -KILL "${found[@]}" 2> /dev/null || true; fi
    rm -f "$folder/run/slurmd-$1.pid"
}

stop() {
    local file name
    timeout 5 scancel --user="$(id -u)" 2> /dev/null || true
    for file in "$folder"/run/slurmd-*.pid; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .pid)
        stop_pid "$file"
        kill_node "${name#slurmd-}"
    done
    for name in slurmctld slurmdbd mariadbd munged; do stop_pid "$folder/run/$name.pid"; done
    for file in "$folder"/run/counter-*.pid; do
        [ ! -e "$file" ] || stop_pid "$file"
    done
}

status() {
    local file
    for file in "$folder"/run/*.pid; do
        if [ -s "$file" ] && running "$(cat "$file")"; then echo "up   $(basename "$file" .pid)"; else echo "down $(basename "$file" .pid)"; fi
    done
    sinfo -N -o '%N %T %C %m %E'
}

case $command in
    start) start "${3:-2}" ;;
    stop) stop ;;
    status) status ;;
    slurmd-kill) stop_pid "$folder/run/slurmd-${3:?NODE}.pid" KILL ;;
    node-kill) kill_node "${3:?NODE}" ;;
    counter-stop) stop_pid "$folder/run/counter-${3:?NODE}.pid" ;;
    node-start) start_node "${3:?NODE}" ;;
    energy-node) "$here/energy_node.sh" "$folder" "${3:?NODE}" "${4:?WATTS}" ;;
    *)
        echo "unknown: $command" >&2
        exit 2
        ;;
esac
