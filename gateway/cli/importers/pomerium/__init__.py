"""What a Pomerium was set up with."""
