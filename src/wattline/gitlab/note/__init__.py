"""One note on a merge request that updates itself: the decision, and the figures a reviewer needs to believe it."""
