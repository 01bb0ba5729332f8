"""DVC's caches and remotes: what is damaged is named, and nothing goes on with it."""
