"""`auth-gateway user …`: a file for each group of subcommands."""
