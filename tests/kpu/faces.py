"""UltraFace's outputs -> faces, as its authors decode them."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 320, 240
SIZES = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}  # of boxes, by stride
CENTRE, SIZE = 0.1, 0.2  # variances
LEAST = 0.7  # probability of a face
OVERLAP = 0.3  # of boxes that are one face


def priors() -> np.ndarray:
    """[4420, 4]: centre and size of each box, in shares of the picture."""
    found = []
    for stride, sizes in SIZES.items():
        for y in range(-(-HEIGHT // stride)):
            for x in range(-(-WIDTH // stride)):
                centre = (x + 0.5) * stride / WIDTH, (y + 0.5) * stride / HEIGHT
                found += [(*centre, size / WIDTH, size / HEIGHT) for size in sizes]
    return np.clip(np.array(found), 0, 1)


def faces(scores: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """[faces, 4]: left, top, right, bottom in shares of the picture; of [1, 4420, 2] and [1, 4420, 4]."""
    places, own = priors(), boxes[0].astype(float)
    centre = places[:, :2] + own[:, :2] * CENTRE * places[:, 2:]
    half = places[:, 2:] * np.exp(own[:, 2:] * SIZE) / 2
    corners, probability = np.concatenate([centre - half, centre + half], axis=1), scores[0, :, 1]
    kept: list[np.ndarray] = []
    for index in np.argsort(-probability, kind="stable"):
        if probability[index] <= LEAST:
            break
        if all(overlap(corners[index], one) <= OVERLAP for one in kept):
            kept.append(corners[index])
    return np.array(kept).reshape(-1, 4)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Area of both over that of either."""
    size = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = float(np.prod(np.maximum(size, 0)))
    return both / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - both)
