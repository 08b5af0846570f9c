"""Finds out what is unusual about a sign-in (network, device, country, travel) and which action the configuration
wants.
"""
