"""What is counted, and how Prometheus gets it."""
