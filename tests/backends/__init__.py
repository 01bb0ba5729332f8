"""Real back ends of the registry for tests, and ways to break them on purpose."""
