"""The console's JSON API, below `/_auth/admin/api`: the same acts, for programs."""
