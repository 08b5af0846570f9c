"""Certificates by ACME (RFC 8555): got, renewed, kept and served."""
