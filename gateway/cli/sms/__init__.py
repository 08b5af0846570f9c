"""`auth-gateway sms …`: a file for each group of subcommands."""
