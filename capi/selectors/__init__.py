"""What the pages show, read in a fixed number of queries each, however long the log has grown."""
