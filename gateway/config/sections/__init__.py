"""The sections of config.yaml, one file for each."""
