"""Stages as jobs of a scheduler: rendered, submitted once, followed, judged and resumed."""
