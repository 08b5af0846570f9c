"""Messages to people: who delivers them, what an SMS may cost and whether it arrived, and notices about an account."""
