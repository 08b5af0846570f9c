"""What a gateway does with a hundred thousand users, a million sessions and ten million audit rows."""
