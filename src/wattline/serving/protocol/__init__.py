"""What callers send and get: bytes to checked arrays, and arrays to bytes. Nothing here knows a socket or a model."""
