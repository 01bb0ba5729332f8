"""Wattline: the platform between a machine-learning task and an HPC centre's GitLab, MLflow and Slurm."""

__version__ = "0.1.0"
