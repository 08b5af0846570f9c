"""`auth-gateway demo`: the real gateway in front of a small app, with one user and codes on the terminal."""
