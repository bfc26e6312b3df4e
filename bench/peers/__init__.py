"""What else a user would pick, rebuilt to be measured beside."""
