"""Side-by-side measurements: the same lookups through us and through the systems we are compared with."""
