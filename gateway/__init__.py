"""auth-gateway: a reverse proxy that signs people in before it lets them through."""

__version__ = "0.2.0"
