"""The parts of the picture of a lineage."""
