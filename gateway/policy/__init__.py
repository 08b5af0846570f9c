"""May they? Pure decisions about routes, rules and groups."""
