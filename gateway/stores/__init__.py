"""Where sessions, codes, counters, the audit log and tokens are kept: Protocols, and their implementations in SQL and
Redis.
"""
