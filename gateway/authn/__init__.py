"""Answers "who is it?": passwords, second factors, accounts elsewhere, API credentials, and how often somebody may
try.
"""
