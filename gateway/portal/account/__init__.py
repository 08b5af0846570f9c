"""One's own account: look, change, add a factor, end sessions."""
