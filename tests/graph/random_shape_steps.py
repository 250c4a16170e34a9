"""Steps of random models: moving and choosing numbers, shape arithmetic, and what training leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.graph.random_steps import spatial
from tests.graph.random_writer import Writer


def gather(w: Writer) -> None:
    axis = w.dice.randrange(len(w.shape)) if w.shape else 0
    if not w.shape:
        return
    many = [w.dice.randrange(w.shape[axis]) for _ in range(w.dice.randint(1, 3))]
    indices = w.dice.choice([many, many[0], [many]])
    w.step("Gather", w.x, w.constant(indices, w.dice.choice([np.int64, np.int32])), axis=axis)
    w.infer()


def gather_elements(w: Writer) -> None:
    if w.opset >= 11 and w.shape:
        axis = w.dice.randrange(len(w.shape))
        w.step(
            "GatherElements",
            w.x,
            w.constant(w.values.integers(0, w.shape[axis], w.shape), np.int64),
            axis=axis,
        )


def scatter(w: Writer) -> None:
    if w.opset >= 11 and len(w.shape) >= 2:
        place = [[w.dice.randrange(w.shape[0]), w.dice.randrange(w.shape[1])]]
        w.step("ScatterND", w.x, w.constant(place, np.int64), w.weights(1, *w.shape[2:]))


def largest(w: Writer) -> None:
    """The values of TopK."""
    if not w.shape or w.opset < 10:
        return
    axis = w.dice.randrange(len(w.shape))
    count = w.dice.randint(1, w.shape[axis])
    w.history.append((w.x, list(w.shape)))
    w.x = w.add("TopK", [w.x, w.constant([count], np.int64)], 2, axis=axis)[0]
    w.infer()


def depth_and_space(w: Writer) -> None:
    if not spatial(w):
        return
    if w.shape[1] % 4 == 0 and w.dice.random() < 0.7:
        more = {"mode": w.dice.choice(["DCR", "CRD"])} if w.opset >= 11 else {}
        w.step("DepthToSpace", w.x, blocksize=2, **more)
    elif w.shape[2] % 2 == 0 and w.shape[3] % 2 == 0:
        w.step("SpaceToDepth", w.x, blocksize=2)
    else:
        return
    w.infer()


def repeat(w: Writer) -> None:
    """Tile or Expand."""
    if np.prod(w.shape) > 1000 or not w.shape:
        return
    if w.dice.random() < 0.5 or w.opset < 8:
        w.step("Tile", w.x, w.constant([w.dice.randint(1, 2) for _ in w.shape], np.int64))
    else:
        wide = [size if size > 1 else w.dice.randint(1, 3) for size in w.shape]
        w.step("Expand", w.x, w.constant(wide, np.int64))
    w.infer()


def squeeze(w: Writer) -> None:
    ones = [axis for axis, size in enumerate(w.shape) if size == 1]
    if not ones:
        return
    axis = w.dice.choice(ones)
    more, attributes = w.axes(13, "axes", [axis - len(w.shape) if w.opset >= 11 else axis])
    w.step("Squeeze", w.x, *more, **attributes)
    w.infer()


def shuffle(w: Writer) -> None:
    """Reshape, Transpose, Reshape: a ShuffleNet."""
    if len(w.shape) != 4 or w.shape[1] % 2:
        return
    shape, (n, c, h, v) = list(w.shape), w.shape
    w.step("Reshape", w.x, w.constant([n, 2, c // 2, h, v], np.int64), shape=[n, 2, c // 2, h, v])
    w.step("Transpose", w.x, perm=[0, 2, 1, 3, 4], shape=[n, c // 2, 2, h, v])
    w.step("Reshape", w.x, w.constant([n, -1, h, v], np.int64), shape=shape)


def focus(w: Writer) -> None:
    """Every other pixel into channels, as YOLOX begins."""
    if w.opset < 10 or len(w.shape) != 4 or min(w.shape[2:]) < 4:
        return
    even = [size // 2 * 2 for size in w.shape[2:]]
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        bounds = ([row, column], even, [2, 3], [2, 2])
        parts += w.add("Slice", [w.x, *(w.constant(item, np.int64) for item in bounds)])
    w.step("Concat", *parts, axis=1)
    w.infer()


def resize(w: Writer) -> None:
    """By computed sizes, by scales, in the modes of set 11 and later."""
    if w.opset < 11 or not spatial(w) or max(w.shape[2:]) > 10:
        return
    mode = w.dice.choice(["nearest", "linear", "cubic"])
    ways = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    attributes = {"mode": mode, "coordinate_transformation_mode": w.dice.choice(ways)}
    if mode == "nearest":
        attributes["nearest_mode"] = w.dice.choice(
            ["floor", "round_prefer_floor", "ceil", "round_prefer_ceil"]
        )
    empty = "" if w.opset >= 13 else w.constant(np.zeros(0))
    if w.dice.random() < 0.5:
        tall = w.dice.choice([0.5, 1.5, 2]) if w.shape[2] > 1 else 2
        w.step("Resize", w.x, empty, w.constant([1, 1, tall, 2]), **attributes)
    else:
        shape = w.add("Shape", [w.x])
        front = w.add("Slice", [*shape, *(w.constant([n], np.int64) for n in (0, 2, 0))])
        sizes = w.add("Concat", [*front, w.constant([w.dice.randint(2, 9), 7], np.int64)], axis=0)
        w.step("Resize", w.x, empty, empty, *sizes, **attributes)
    w.infer()


def computed_reshape(w: Writer) -> None:
    """Sizes taken out of the shape, through casts, put together again."""
    if len(w.shape) != 4 or w.opset < 9:
        return
    shape = w.add("Shape", [w.x])[0]
    parts = []
    for axis in (0, 1):
        size = w.add("Gather", [shape, w.constant(axis, np.int64)], axis=0)
        size = w.add("Cast", w.add("Floor", w.add("Cast", size, to=1)), to=7)
        more, attributes = w.axes(13, "axes", [0])
        parts += w.add("Unsqueeze", [*size, *more], **attributes)
    target = w.add("Concat", [*parts, w.constant([-1], np.int64)], axis=0)[0]
    w.step("Reshape", w.x, target, shape=[*w.shape[:2], w.shape[2] * w.shape[3]])


def grown(w: Writer) -> None:
    """Zeros of a computed shape, added: ConstantOfShape, Range, Equal, Where, Expand."""
    if w.opset < 11 or len(w.shape) < 2:
        return
    shape = w.add("Shape", [w.x])[0]
    last = w.add("Gather", [shape, w.constant(-1, np.int64)], axis=0)[0]
    steps = w.add("Range", [w.constant(0, np.int64), last, w.constant(1, np.int64)])[0]
    value = helper.make_tensor("value", TensorProto.INT64, [1], [1])
    ones = w.add("ConstantOfShape", [w.add("Shape", [shape])[0]], value=value)[0]
    same = w.add("Equal", [shape, ones])[0]
    target = w.add("Where", [same, ones, shape])[0]
    wide = w.add("Expand", [w.add("Cast", [steps], to=1)[0], target])[0]
    w.step("Add", w.x, w.add("Mul", [wide, w.constant(0.1)])[0])


def dropped(w: Writer) -> None:
    """Dropout with all that it may have, and Identities."""
    w.step("Identity", w.x)
    if w.opset >= 12:
        more = w.dice.choice([[], [w.constant(0.4)], [w.constant(0.4), w.constant(False, np.bool_)]])
        made = w.add("Dropout", [w.x, *more], w.dice.randint(1, 2))
        w.x = made[0]
    else:
        w.step("Dropout", w.x, ratio=0.3)


def branched(w: Writer) -> None:
    """An If that the shape decides, around a Squeeze."""
    if w.opset < 13 or len(w.shape) < 3:
        return
    shape = w.add("Shape", [w.x])[0]
    size = w.add("Gather", [shape, w.constant(1, np.int64)], axis=0)
    condition = w.add("Equal", [*size, w.constant(1, np.int64)])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, None)
    axes = numpy_helper.from_array(np.array([1]), "axes")
    taken = w.shape[1] == 1  # else Squeeze would be invalid, and inference says so
    then = helper.make_node(*(["Squeeze", [w.x, "axes"]] if taken else ["Neg", [w.x]]), ["result"])
    other = helper.make_node("Identity", [w.x], ["result"])
    w.step(
        "If", *condition,
        then_branch=helper.make_graph([then], "then", [], [result], [axes]),
        else_branch=helper.make_graph([other], "else", [], [result]),
        shape=[*w.shape[:1], *w.shape[2:]] if taken else w.shape,
    )  # fmt: skip


def parts(w: Writer) -> None:
    """Split into equal parts, the last one smaller, and joined in another order."""
    if w.opset < 18 or not w.shape:
        return
    axis = w.dice.randrange(len(w.shape))
    if w.shape[axis] < 3:
        return
    made = w.add("Split", [w.x], 2, axis=axis, num_outputs=2)
    w.step("Concat", *reversed(made), axis=axis, shape=w.shape)


def turned_pads(w: Writer) -> None:
    """Pad in the modes that repeat the picture."""
    if not spatial(w) or min(w.shape[2:]) < 2:
        return
    pads = [0, 0, 1, 0, 0, 0, w.dice.randint(0, 1), 1]
    mode = w.dice.choice(["edge", "reflect", *(["wrap"] if w.opset >= 19 else [])])
    more, attributes = w.axes(11, "pads", pads)
    w.step("Pad", w.x, *more, mode=mode, **attributes)
    w.infer()


STEPS: tuple[Callable[[Writer], None], ...] = (
    gather, gather, gather_elements, scatter, largest, depth_and_space, depth_and_space, repeat, squeeze,
    shuffle, focus, resize, resize, computed_reshape, computed_reshape, grown, dropped, branched, parts,
    turned_pads,
)  # fmt: skip
