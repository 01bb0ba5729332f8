"""Prometheus, and what answers as it does, over its HTTP API."""
