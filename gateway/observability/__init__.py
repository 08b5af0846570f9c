"""What operators see: log, access log, audit, metrics, traces."""
