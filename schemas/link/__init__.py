"""The link between agent and wearable: frames and messages. Pure: bytes in, objects out (docs/link-protocol.md)."""
