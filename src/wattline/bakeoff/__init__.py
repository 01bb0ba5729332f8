"""The bake-off: models of params.yaml side by side, and the one that a stated rule chooses."""
