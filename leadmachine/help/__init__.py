"""The help pages: the files of `docs/guide`, and a troubleshooting page made from the explanations."""
