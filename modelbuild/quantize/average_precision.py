"""Mean average precision of a detector, as COCO measures it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.found_boxes import Found, Real

OVERLAPS = np.linspace(0.5, 0.95, 10)  # of a box found and a box there, from which on they are one
RECALLS = np.linspace(0.0, 1.0, 101)  # where precision is taken
MOST = 100  # boxes of a class in a picture that count, the surest first


@dataclass
class AveragePrecision:
    """Counts picture by picture; keeps a score and ten bits of each box found."""

    _there: dict[int, int] = field(default_factory=dict)  # class -> boxes to be found
    _scores: dict[int, list[Real]] = field(default_factory=dict)
    _right: dict[int, list[NDArray[np.bool_]]] = field(
        default_factory=dict
    )  # [overlaps, boxes] of each picture
    _counts: dict[int, list[NDArray[np.bool_]]] = field(default_factory=dict)

    def add(self, found: Found, there: Sequence[Mapping[str, Any]]) -> None:
        """One picture: what was found, and the boxes that are there (`samples.boxes.Box`)."""
        for number in sorted({*found.classes.tolist(), *(box["class"] for box in there)}):
            own = [box for box in there if box["class"] == number]
            own.sort(key=lambda box: bool(box.get("crowd")))
            corners = np.array([box["box"] for box in own], np.float64).reshape(-1, 4)
            crowd = np.array([bool(box.get("crowd")) for box in own], bool)
            mine = np.flatnonzero(found.classes == number)
            order = mine[np.argsort(-found.scores[mine], kind="stable")][:MOST]
            right, counts = _matched(found.boxes[order], corners, crowd)
            self._there[number] = self._there.get(number, 0) + int((~crowd).sum())
            self._scores.setdefault(number, []).append(found.scores[order])
            self._right.setdefault(number, []).append(right)
            self._counts.setdefault(number, []).append(counts)

    def to_json(self) -> dict[str, float]:
        """{"map": mean over overlaps .5:.05:.95 and classes, "map50": at .5}; 0 where there is nothing."""
        curves = np.array(list(self._curves())).reshape(-1, len(OVERLAPS))
        means = curves.mean(axis=0) if len(curves) else np.zeros(len(OVERLAPS))
        return {"map": float(means.mean()), "map50": float(means[0])}

    def _curves(self) -> Iterator[Real]:
        """The average precision at each overlap, of each class that is there."""
        for number, count in sorted(self._there.items()):
            if count:
                scores = np.concatenate(self._scores[number])
                order = np.argsort(-scores, kind="stable")
                right = np.concatenate(self._right[number], axis=1)[:, order]
                counts = np.concatenate(self._counts[number], axis=1)[:, order]
                yield np.array([_average(*pair, count) for pair in zip(right, counts, strict=True)])


def _average(right: NDArray[np.bool_], counts: NDArray[np.bool_], there: int) -> float:
    """The mean over RECALLS of the best precision at that recall or a higher one."""
    hits = np.cumsum(right & counts)
    misses = np.cumsum(~right & counts)
    recall = hits / there
    precision = hits / np.maximum(hits + misses, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.where(at < len(best), np.append(best, 0.0)[np.minimum(at, len(best))], 0.0).mean())


def _matched(
    found: Real, there: Real, crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[overlaps, found]: whether each box found, the surest first, is one that is there and no other before
    it is; and whether it counts: what lies in a crowd does not. Crowds stand last in `there`."""
    right = np.zeros((len(OVERLAPS), len(found)), bool)
    counts = np.ones_like(right)
    overlap = _overlaps(found, there, crowd)
    for row, least in enumerate(OVERLAPS):
        taken = np.zeros(len(there), bool)
        for column in range(len(found)):
            free = np.where(taken & ~crowd, -1.0, overlap[column])
            own = np.where(crowd, -1.0, free)
            best = _last_of_largest(own)
            if best is None or own[best] < least:
                own = np.where(crowd, free, -1.0)
                best = _last_of_largest(own)
                if best is None or own[best] < least:
                    continue
            taken[best] = True
            right[row, column] = True
            counts[row, column] = not crowd[best]
    return right, counts


def _last_of_largest(values: Real) -> int | None:
    """Of equal overlaps COCO takes the last."""
    return None if not len(values) else len(values) - 1 - int(np.argmax(values[::-1]))


def _overlaps(found: Real, there: Real, crowd: NDArray[np.bool_]) -> Real:
    """[found, there]: the common area by that of both together; in a crowd, by that of the box found."""
    low = np.maximum(found[:, None, :2], there[None, :, :2])
    high = np.minimum(found[:, None, 2:], there[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=2)
    area, other = (np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1) for boxes in (found, there))
    whole = np.where(crowd[None], area[:, None], area[:, None] + other[None] - common)
    return np.asarray(np.divide(common, whole, out=np.zeros_like(common), where=whole > 0.0))
