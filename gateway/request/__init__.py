"""Reads what is asked, once: address, method, client, request id, and the body of small forms."""
