"""The Protocols of the stores: what the rest of the gateway may ask of them."""
