"""The versions of a model: found, verified, loaded, swapped, tried beside one another, taken back."""
