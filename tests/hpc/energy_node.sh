#!/usr/bin/env bash
# Restarts one node of a cluster (cluster.sh) with an energy counter that it believes in: energy_node.sh FOLDER NODE WATTS
#
# slurmd's plugin acct_gather_energy/ibmaem reads /sys/devices/platform/aem.0. In a mount namespace of the node's own, a
# folder lies there in which energy_counter.py counts. From the counter over slurmd and slurmdbd to sacct, all else is real.
# The cluster has been started with EXTRA='AcctGatherEnergyType=acct_gather_energy/ibmaem
# AcctGatherNodeFreq=1'. FOLDER/counter-NODE/watts may be rewritten at any time. Needs root or user namespaces.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
folder=$(cd "$1" && pwd -P)
node=$2
counter="$folder/counter-$node"
mkdir -p "$counter"
echo "$3" > "$counter/watts"
"$here/cluster.sh" node-kill "$folder" "$node"
"$here/cluster.sh" counter-stop "$folder" "$node"
python3 "$here/energy_counter.py" "$counter" > /dev/null 2>&1 &
echo $! > "$folder/run/counter-$node.pid"
for _ in $(seq 100); do
    [ ! -s "$counter/energy1_input" ] || break
    sleep 0.05
done
namespaces=(--mount)
if [ "$(id -u)" != 0 ]; then namespaces+=(--user --map-current-user --keep-caps); fi
# shellcheck disable=SC2016 # the inner shell fills them in
unshare "${namespaces[@]}" bash -c '
    mount -t tmpfs tmpfs /sys/devices/platform
    mkdir /sys/devices/platform/aem.0
    mount --bind "$1" /sys/devices/platform/aem.0
    exec "$2" node-start "$3" "$4"' bash "$counter" "$here/cluster.sh" "$folder" "$node"
