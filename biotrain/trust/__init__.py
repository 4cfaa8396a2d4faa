"""A site's own certificate authority, and what the broker is told to let each certificate do."""
