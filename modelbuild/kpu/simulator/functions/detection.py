"""The detection step of TFLite: boxes decoded from anchors, the best kept, overlapping ones dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.memory import Array

_ZERO = np.float32(0)


@dataclass(frozen=True)
class Limits:
    """How many are kept, and what counts as overlapping."""

    detections: int
    a_class: int
    score: np.float32
    overlap: np.float32


def postprocess(call: Call) -> None:
    """Boxes, classes, scores and their number, by class or by the best class of each box."""
    shapes = [call.sizes(f"{name}_shape_src") for name in ("box", "score", "anchor")]
    (boxes_shape, scores_shape, anchors_shape) = shapes
    if len(boxes_shape) != 3 or len(scores_shape) != 3 or len(anchors_shape) != 2 or boxes_shape[2] != 4:
        raise call.fail(f"it takes no {shapes}")
    count, columns, classes = anchors_shape[0], scores_shape[2], call.number("num_classes")
    limits = Limits(
        call.number("max_detections"),
        call.number("detections_per_class"),
        call.float32("nms_score_threshold"),
        call.float32("nms_iou_threshold"),
    )
    if not 0 < classes <= columns or limits.detections < 1 or limits.a_class < 0 or boxes_shape[1] < count:
        raise call.fail(f"{classes} of {columns} classes, {count} anchors")
    each = max(1, min(limits.detections, count))
    call.spend(count * columns * 64, classes * each * 64 + count)
    call.spend(classes * each * count * 16)
    corners = _decoded(call, call.load("box", (count, 4)), call.load("anchor", (count, 4)))
    scores = call.load("score", (count, columns))[:, columns - classes :]
    if call.flag("use_regular_non_max_suppression"):
        found, number = _regular(corners, scores, limits)
        total = limits.detections
    else:
        most = call.number("max_classes_per_detection")
        if most < 1:
            raise call.fail("it keeps no class of a box")
        found, number = _fast(corners, scores, limits, most)
        total = number * most
    _store(call, corners, found, total, number)


def _store(
    call: Call, corners: Array, found: list[tuple[int, int, int, float]], total: int, number: int
) -> None:
    """Writes (place, box, class, score); the slow way fills the rest with zeros."""
    boxes, classes = np.zeros((total, 4), np.float32), np.zeros(total, np.float32)
    scores = np.zeros(total, np.float32)
    for place, box, kind, score in found:
        boxes[place], classes[place], scores[place] = corners[box], kind, score
    call.store("output_locations", boxes)
    call.store("output_classes", classes)
    call.store("output_scores", scores)
    call.store("output_num_detections", np.array([number], np.float32))


def _decoded(call: Call, boxes: Array, anchors: Array) -> Array:
    """(rows, 4): top, left, bottom, right."""
    scales = np.array([call.float32(f"{name}_scale") for name in "yxhw"], np.float32).astype(np.float64)
    wide, base = boxes.astype(np.float64) / scales, anchors.astype(np.float64)
    centre = (wide[:, :2] * base[:, 2:] + base[:, :2]).astype(np.float32)
    half = (0.5 * np.exp(wide[:, 2:]) * base[:, 2:]).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=1)


def _kept(corners: Array, scores: Array, limits: Limits) -> list[int]:
    """The boxes that stay, best first."""
    known = np.flatnonzero(scores >= limits.score)
    order = known[np.argsort(-scores[known], kind="stable")]
    most = min(len(order), limits.detections)
    alive = np.ones(len(order), np.bool_)
    found: list[int] = []
    for place, box in enumerate(order):
        if len(found) >= most or not alive.any():
            break
        if not alive[place]:
            continue
        found.append(int(box))
        alive[place] = False
        rest = np.flatnonzero(alive[place + 1 :]) + place + 1
        alive[rest[_overlaps(corners, int(box), order[rest]) > limits.overlap]] = False
    return found


def _overlaps(corners: Array, box: int, others: Array) -> Array:
    """Intersection over union of one box with others."""
    one, many = corners[box], corners[others]
    area = (one[2] - one[0]) * (one[3] - one[1])
    areas = (many[:, 2] - many[:, 0]) * (many[:, 3] - many[:, 1])
    top, left = np.maximum(one[0], many[:, 0]), np.maximum(one[1], many[:, 1])
    bottom, right = np.minimum(one[2], many[:, 2]), np.minimum(one[3], many[:, 3])
    inner = np.maximum(bottom - top, _ZERO) * np.maximum(right - left, _ZERO)
    empty = (area <= 0) | (areas <= 0)
    return np.where(empty, _ZERO, inner / (area + areas - inner))


def _regular(corners: Array, scores: Array, limits: Limits) -> tuple[list[tuple[int, int, int, float]], int]:
    """Class by class (the last one is left out), merged by score; of equal ones the earlier class first."""
    merged: list[tuple[float, int, int]] = []
    for kind in range(scores.shape[1] - 1):
        own = [(float(scores[box, kind]), box, kind) for box in _kept(corners, scores[:, kind], limits)]
        merged = sorted(merged + own, key=lambda item: -item[0])[: limits.detections]
    found = [(place, box, kind, score) for place, (score, box, kind) in enumerate(merged)]
    return found, len(merged)


def _fast(
    corners: Array, scores: Array, limits: Limits, most: int
) -> tuple[list[tuple[int, int, int, float]], int]:
    """By the best score of each box, which then tells its best classes."""
    ranks = np.argsort(-scores, axis=1, kind="stable")[:, : min(most, scores.shape[1])]
    kept = _kept(corners, scores.max(axis=1), limits)
    found = [
        (most * place + column, box, int(kind), float(scores[box, kind]))
        for place, box in enumerate(kept)
        for column, kind in enumerate(ranks[box])
    ]
    return found, len(kept)
