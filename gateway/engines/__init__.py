"""Configurations for other proxies, written from ours. One file per engine; `sites` says what they all must serve."""
