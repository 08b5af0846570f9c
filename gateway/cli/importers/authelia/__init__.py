"""What an Authelia was set up with."""
