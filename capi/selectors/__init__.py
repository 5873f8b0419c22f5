"""Reads for pages and API, each in a fixed number of queries however long the log is."""
