"""Messages to people: what they cost, who delivers them, and notices about an account."""
