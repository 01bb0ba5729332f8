"""Where a served model comes from: one graph, shown as text, picture, W3C PROV and a research object."""
