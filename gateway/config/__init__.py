"""Configuration: schema, loader and its error report."""
