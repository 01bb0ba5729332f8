"""ExaMon's database, KairosDB, over its REST API."""
