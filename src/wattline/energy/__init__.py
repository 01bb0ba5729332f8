"""Energy: what an activity cost, by which meter, and how sure that is."""
