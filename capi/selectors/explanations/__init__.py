"""Every text that people read about a state or a reason, in one place."""
