"""Signing in and out: password, second factor, passkey, approval, other domains."""
