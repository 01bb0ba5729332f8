"""Sensors of board management controllers, as `ipmitool sdr` prints them."""
