"""The database: tables per noun, one writer, many readers."""
