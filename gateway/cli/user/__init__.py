"""The user commands."""
