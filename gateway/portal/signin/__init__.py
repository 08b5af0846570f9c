"""Signing in and out: password, second factor, and what goes on around them."""
