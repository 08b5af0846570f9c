"""The ledger in Redis, with a circuit breaker so that a slow or absent Redis holds no request up."""
