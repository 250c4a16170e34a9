"""Small pictures that samples are compared by: near copies are found, and many channels cost no more."""

from __future__ import annotations

import numpy as np

from modelbuild.samples.health import CELLS, PLANES, Look


def features(seed: int) -> np.ndarray:
    """[1, 64, 32, 32], smooth as a picture."""
    coarse = np.random.default_rng(seed).normal(size=(1, 64, 4, 4))
    return coarse.repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)


def test_samples_of_many_channels_are_compared_in_few() -> None:
    look = Look((1, 64, 32, 32))
    noise = np.random.default_rng(9).normal(scale=0.01, size=(1, 64, 32, 32))
    for number, values in enumerate([features(1), features(2), features(1) + noise]):
        look.add(number, values)
    assert {row.size for row in look.small} == {PLANES * CELLS * CELLS}
    assert [(copy.sample, copy.earlier) for copy in look.near_copies()] == [(2, 0)]
