"""One's own account: look at it, change the password, add and remove factors, end sessions."""
