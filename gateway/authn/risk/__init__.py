"""Risk signals of a sign-in: what is unusual about it, and what follows from that."""
