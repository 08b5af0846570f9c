"""What the rest of the gateway asks of a store, as Protocols."""
