"""What is asked, read once: address, method, client, identity of the request, and its body."""
