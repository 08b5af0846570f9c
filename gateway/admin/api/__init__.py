"""The console's JSON API, below `/_auth/admin/api`: it does the same acts, for programs."""
