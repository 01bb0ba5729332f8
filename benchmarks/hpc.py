"""What does it cost to run on a cluster?

python benchmarks/hpc.py                 everything below
python benchmarks/hpc.py --only parallel --worlds 1 2 4

overhead     a stage by `wattline run` on a private Slurm, over a bare `srun` of the same command, without the queue
checkpoints  percent of the time of a training that they take, with the default of hpc.checkpoint_minutes
parallel     windows per second of wall time by several processes, in turns with torch's DistributedDataParallel;
             efficiency is the rate of N processes over N times that of one. Both train the same model on the same
             windows and batches, without validation and checkpoints. Ours ends in the same weights for every world
             size, which is checked; DistributedDataParallel does not promise that.
"""

import argparse
import sys

from clock import Figure, conclude

PARTS = ("overhead", "checkpoints", "parallel")


def main(parts: list[str], worlds: list[int]) -> int:
    """Print every figure beside its limit."""
    found: list[Figure] = []
    if "overhead" in parts:
        from jobs import overhead

        found += overhead.figures()
    if "checkpoints" in parts:
        from jobs import checkpoints

        found += checkpoints.figures()
    if "parallel" in parts:
        from jobs import data_parallel

        found += data_parallel.figures(worlds)
    return conclude(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2], help="numbers of processes, powers of two")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        from jobs import data_parallel

        data_parallel.work(chosen.worker)
    else:
        sys.exit(main(chosen.only, chosen.worlds))
