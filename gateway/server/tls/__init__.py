"""TLS contexts of the listener."""
