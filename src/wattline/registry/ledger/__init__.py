"""The audit log and the lock of the registry: two SQL tables beside MLflow's own."""

from wattline.registry.ledger.ledger import Ledger, connect

__all__ = ["Ledger", "connect"]
