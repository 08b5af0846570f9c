"""`auth-gateway check`: mistakes of the configuration, `--explain` for one URL, and policy tests."""
