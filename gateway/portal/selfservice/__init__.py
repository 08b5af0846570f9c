"""For people without a password: resets and invitations by mailed link."""
