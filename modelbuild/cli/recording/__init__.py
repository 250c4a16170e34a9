"""What is kept of a build while it runs: `--events`, `--trace` and `--profile`."""
