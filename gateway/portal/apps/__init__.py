"""The page of a user's apps."""
