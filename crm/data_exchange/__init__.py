"""Lists as files: `importing` reads them, `exporting` writes them. Neither knows the other."""
