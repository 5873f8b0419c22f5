"""The user's guide inside LeadMachine: the files of `docs/guide`, and what the catalogue says of every trouble."""
