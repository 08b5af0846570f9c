"""Users ask for access to a route, and it is lent to them for a while."""
