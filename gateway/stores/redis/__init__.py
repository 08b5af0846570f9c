"""The ledger in Redis, and what keeps a slow or absent Redis from holding requests up."""
