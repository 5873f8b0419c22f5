"""Writes: one verb, one transaction, keyword arguments only."""
