"""`make bench`: the gateway beside other proxies, on this machine. Nothing here is part of the gateway."""
