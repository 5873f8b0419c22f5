"""Every sentence that a person reads about a state or a reason stands here, once."""
