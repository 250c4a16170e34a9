"""What the KPU's pools do to the bytes before them, and how a table makes up for it."""

from __future__ import annotations

# A mean of n bytes is rounded down: it loses (n - 1) / 2n steps if all remainders are as frequent.
MEAN_LOSS = {"mean_2_s1": 3 / 8, "mean_2_s2": 3 / 8, "mean_4_s4": 15 / 32}


def lost_by(pool: str) -> float:
    """Steps of the output that a pool takes off in the mean: what `fit_segments` is to add to the function.

    Lines begin that much earlier. Where the function is constant, as a Relu's 0, whole steps are all that a
    table could add: it stays, and a mean of equal bytes loses nothing."""
    return MEAN_LOSS.get(pool, 0.0)
