"""The K210's neural engine (KPU): a compiler from graphs to kmodels, and a simulator of kmodels."""
