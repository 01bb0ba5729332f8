"""Job tables with the power of each job as a list, in the form of PM100."""
