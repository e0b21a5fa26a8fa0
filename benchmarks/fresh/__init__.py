"""Scripts that are timed whole, interpreter and all. Each prints one line of JSON at its end."""
