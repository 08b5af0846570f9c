"""What a schema cannot say: mistakes between keys, and warnings."""
