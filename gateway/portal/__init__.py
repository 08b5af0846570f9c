"""The gateway's own pages below `server.prefix`: signing in, one's account, resets, access requests. The console is
`admin`.
"""
