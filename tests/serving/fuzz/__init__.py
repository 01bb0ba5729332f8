"""Mutated requests: what a decoder makes of millions of bytes that nobody would send on purpose."""
