"""One corpus of requests, and the doors that it goes through: our own proxy, and each real engine with our export."""
