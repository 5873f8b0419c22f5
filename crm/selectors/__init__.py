"""Reads for pages, each with a fixed number of queries however many rows there are."""
