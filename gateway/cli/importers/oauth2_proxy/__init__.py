"""Reads oauth2-proxy's configuration."""
