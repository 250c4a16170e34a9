"""Predicted time of a kmodel on the chip: KPU cycles, transfers, and the CPU's tensor functions."""
