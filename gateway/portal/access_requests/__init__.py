"""Pages on which users ask for access to a route, and approvers grant it for a limited time."""
