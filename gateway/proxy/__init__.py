"""Request out, answer back."""
