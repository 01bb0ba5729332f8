"""The scheduled look at what was served: drift, labels, energy, and the retraining that they may ask for."""
