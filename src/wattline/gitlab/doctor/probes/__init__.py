"""The questions that are asked; each is bounded in time and raises nothing that a server can cause."""
