"""Anomalies in the telemetry of compute nodes: the worked example, and the folder to put your own task in."""
