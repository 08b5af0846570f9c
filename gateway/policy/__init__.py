"""Answers "may they?": finds the route of a target and asks its rules. Pure functions of configuration, request and
user.
"""
