"""REST and server-sent events, one module per noun."""
