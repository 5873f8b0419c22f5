"""What each object that can be imported is: one definition each."""
