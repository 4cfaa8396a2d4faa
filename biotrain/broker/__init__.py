"""The brokers that `biotrain broker` can be."""
