"""What others may ask of a version: what there is, where it comes from, and whether it can be made again."""
