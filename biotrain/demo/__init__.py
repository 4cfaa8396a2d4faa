"""The demo: broker, supervisor, virtual wearable and agent as real processes."""
