"""The process, its sockets and connections, and the handler that every request passes."""
