"""Devices as Home Assistant sees them."""
