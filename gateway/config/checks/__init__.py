"""Checks of what a schema cannot express: mistakes between keys, and warnings."""
