"""Reads for pages: a fixed number of queries, however many rows there are."""
