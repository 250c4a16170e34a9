"""Quantizers beside each other: their environments, drivers, models, scores. `bench.accuracy` runs them."""
