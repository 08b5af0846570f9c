"""Writes configurations for nginx, HAProxy, Caddy, Traefik and Envoy from ours (`auth-gateway export`). `plan` says
what all must serve.
"""
