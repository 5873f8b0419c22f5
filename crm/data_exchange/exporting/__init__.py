"""Exports: which columns a file has, what is in its cells, and the work on it, chunk by chunk."""
