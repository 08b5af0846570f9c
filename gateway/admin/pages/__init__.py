"""The pages of the admin console, one file for each."""
