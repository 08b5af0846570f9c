"""What an oauth2-proxy was set up with."""
