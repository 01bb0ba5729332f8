"""Sessions of the energy test that never took place, with noise that did."""
