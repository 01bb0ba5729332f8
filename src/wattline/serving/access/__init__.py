"""Who may ask what, how often, and where the refusals are written down."""
