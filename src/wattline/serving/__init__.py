"""Answers of a deployed graph: the engine that runs it, and the server that people ask."""
