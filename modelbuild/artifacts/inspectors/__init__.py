"""What there is to say about a file, one module a kind. Each has `describe(path) -> JSON mapping`."""
