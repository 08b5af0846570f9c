"""`auth-gateway doctor`: what is wrong with a gateway, in plain words."""
