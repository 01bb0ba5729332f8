"""Tomorrow's power of compute nodes: a second task, with scikit-learn, through the same nine stages."""
