"""What benchmarks/hpc.py measures."""
