"""The check command: configuration, explanations and policy tests."""
