"""Energy of the path that callers use: the real server on a candidate, asked over HTTP while a meter is read."""
