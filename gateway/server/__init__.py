"""The process and the front door: from a client's connection to what answers it."""
