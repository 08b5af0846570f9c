"""Reads Pomerium's configuration."""
