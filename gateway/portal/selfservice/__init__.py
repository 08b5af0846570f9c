"""For people who have no password (any more): resets and invitations."""
