"""Imports: reading a file, understanding its columns and cells, and the work on its rows, chunk by chunk."""
