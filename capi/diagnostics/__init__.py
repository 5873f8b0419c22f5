"""The doctor: looks at all that has to be right for events to reach LinkedIn, and changes none of it."""
