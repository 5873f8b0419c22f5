"""The doctor: checks everything that events need to reach LinkedIn, and changes nothing."""
