"""Hyperparameter sweeps: Optuna proposes, jobs train, the validation part decides."""
