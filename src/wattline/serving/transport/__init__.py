"""HTTP/1.1 on sockets, with a bound on everything a caller can make grow."""
