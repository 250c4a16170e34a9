"""Small pictures that samples are compared by: near copies are found, and many channels cost no more."""

from __future__ import annotations

import numpy as np

from modelbuild.samples.health import CELLS, PLANES, Look, is_interleaved


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


def test_colours_side_by_side_are_told_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    for seed in range(40):
        look = Look((1, 3, 64, 64))
        look.add(0, np.random.default_rng(seed).normal(size=(1, 3, 64, 64)))
        assert not is_interleaved([look]), "by chance every third value of noise is the nearest, or is not"
    coarse = rng.normal(size=(8, 8, 1)) + 3 * rng.normal(size=3)
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1)
    for values, wrong in ((picture.transpose(2, 0, 1), False), (picture.reshape(3, 64, 64), True)):
        look = Look((1, 3, 64, 64))
        look.add(0, values[None])
        assert is_interleaved([look]) is wrong
