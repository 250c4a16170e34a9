"""Which functions on tensors outside of layers are translated, in the words of TensorFlow and of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.errors import did_you_mean
from modelbuild.importers.keras import function_shapes as moves
from modelbuild.importers.keras import functions as f
from modelbuild.importers.keras.arguments import Arguments
from modelbuild.importers.keras.call import Call
from modelbuild.importers.keras.functions import Translate


@dataclass(frozen=True)
class Function:
    """What translates a function, and the names of its positional arguments."""

    translate: Translate
    names: tuple[str, ...] = ("x",)


_TWO = ("x", "y")


def _named(translate: Translate, names: str, parameters: tuple[str, ...] = ("x",)) -> dict[str, Function]:
    """Names in capitals are classes of Keras 3, the others functions of TensorFlow."""
    row = Function(translate, parameters)
    return {f"keras.{name}" if name[0].isupper() else name: row for name in names.split()}


_UNARY: Mapping[str, str] = {
    "Abs": "math.abs abs Absolute Abs",
    "Ceil": "math.ceil Ceil",
    "Cos": "math.cos Cos",
    "Erf": "math.erf Erf",
    "Exp": "math.exp Exp",
    "Floor": "math.floor Floor",
    "Identity": "identity stop_gradient StopGradient",
    "Log": "math.log Log",
    "Neg": "math.negative __operators__.neg Negative",
    "Not": "math.logical_not LogicalNot",
    "Reciprocal": "math.reciprocal Reciprocal",
    "Round": "math.round Round",
    "Sign": "math.sign Sign",
    "Sin": "math.sin Sin",
    "Sqrt": "math.sqrt Sqrt",
}
_BINARY: Mapping[str, str] = {
    "Add": "math.add __operators__.add Add", "And": "math.logical_and LogicalAnd",
    "Div": "math.divide math.truediv __operators__.truediv compat.v1.div Divide TrueDivide",
    "Equal": "math.equal Equal", "Greater": "math.greater __operators__.gt Greater",
    "GreaterOrEqual": "math.greater_equal __operators__.ge GreaterEqual",
    "Less": "math.less __operators__.lt Less", "LessOrEqual": "math.less_equal __operators__.le LessEqual",
    "Max": "math.maximum Maximum", "Min": "math.minimum Minimum",
    "Mul": "math.multiply __operators__.mul Multiply", "Or": "math.logical_or LogicalOr",
    "Pow": "math.pow __operators__.pow Power", "Sub": "math.subtract __operators__.sub Subtract",
}  # fmt: skip
_REDUCTIONS: Mapping[str, str] = {
    "ReduceMax": "math.reduce_max compat.v1.reduce_max Max", "ReduceMin": "math.reduce_min Min",
    "ReduceMean": "math.reduce_mean compat.v1.reduce_mean Mean", "ReduceProd": "math.reduce_prod Prod",
    "ReduceSum": "math.reduce_sum compat.v1.reduce_sum Sum",
}  # fmt: skip

FUNCTIONS: Mapping[str, Function] = {
    **{key: row for op, names in _UNARY.items() for key, row in _named(f.unary(op), names).items()},
    **{key: row for op, names in _BINARY.items() for key, row in _named(f.binary(op), names, _TWO).items()},
    **{key: row for op, names in _REDUCTIONS.items() for key, row in _named(f.reduction(op), names).items()},
    **_named(f.chain("Sqrt", "Reciprocal"), "math.rsqrt Rsqrt"),
    **_named(f.square, "math.square Square"),
    **_named(f.squared_difference, "math.squared_difference SquaredDifference", _TWO),
    **_named(f.activation("relu"), "nn.relu Relu"),
    **_named(f.activation("elu", alpha=1.0), "nn.elu"),
    **_named(f.activation("ELU", "alpha"), "Elu"),
    **_named(f.activation("gelu", "approximate"), "nn.gelu"),
    **_named(f.activation("gelu", "approximate", approximate=True), "Gelu"),
    **_named(f.activation("hard_sigmoid"), "HardSigmoid"),
    **_named(f.activation("hard_silu"), "HardSilu"),
    **_named(f.activation("LeakyReLU", "negative_slope", "alpha", alpha=0.2), "nn.leaky_relu LeakyRelu"),
    **_named(f.activation("Softmax", "axis"), "nn.softmax compat.v1.nn.softmax Softmax"),
    **_named(f.log_softmax, "nn.log_softmax LogSoftmax"),
    **_named(f.activation("relu6"), "nn.relu6 Relu6"),
    **_named(f.activation("selu"), "nn.selu Selu"),
    **_named(f.activation("sigmoid"), "math.sigmoid nn.sigmoid Sigmoid"),
    **_named(f.activation("silu"), "nn.silu nn.swish Silu Swish"),
    **_named(f.activation("softplus"), "math.softplus nn.softplus Softplus"),
    **_named(f.activation("softsign"), "nn.softsign Softsign"),
    **_named(f.activation("tanh"), "math.tanh nn.tanh Tanh"),
    **_named(f.clip, "clip_by_value Clip", ("x", "x_min", "x_max")),
    **_named(f.where, "where compat.v1.where Where", ("condition", *_TWO)),
    **_named(f.cast, "cast Cast", ("x", "dtype")),
    **_named(f.matrix_product, "linalg.matmul __operators__.matmul Matmul", _TWO),
    **_named(f.place_of("ArgMax"), "math.argmax compat.v1.argmax Argmax"),
    **_named(f.place_of("ArgMin"), "math.argmin Argmin"),
    **_named(f.normalized, "math.l2_normalize nn.l2_normalize Normalize"),
    **_named(f.pool("MaxPool"), "nn.max_pool nn.max_pool2d compat.v1.nn.max_pool MaxPool"),
    **_named(f.pool("AveragePool"), "nn.avg_pool nn.avg_pool2d compat.v1.nn.avg_pool AveragePool"),
    **_named(f.resize, "image.resize Resize", ("x", "size")),
    **_named(f.older_resize(False), "compat.v1.image.resize_bilinear", ("x", "size")),
    **_named(f.older_resize(True), "compat.v1.image.resize_nearest_neighbor", ("x", "size")),
    **_named(f.blocks("DepthToSpace"), "nn.depth_to_space compat.v1.depth_to_space"),
    **_named(f.blocks("SpaceToDepth"), "nn.space_to_depth compat.v1.space_to_depth"),
    **_named(moves.broadcast, "broadcast_to BroadcastTo", ("x", "shape")),
    **_named(moves.concatenate, "concat Concatenate"),
    **_named(moves.expand_dims, "expand_dims compat.v1.expand_dims ExpandDims"),
    **_named(moves.flip, "reverse Flip"),
    **_named(moves.item, "__operators__.getitem GetItem", ("x", "key")),
    **_named(moves.move_axis, "Moveaxis"),
    **_named(moves.pad, "pad compat.v1.pad Pad"),
    **_named(moves.repeat, "repeat Repeat"),
    **_named(moves.reshape, "reshape Reshape", ("x", "shape")),
    **_named(moves.shape, "shape compat.v1.shape"),
    **_named(moves.split, "split"),
    **_named(moves.split_at, "Split"),
    **_named(moves.squeeze, "squeeze compat.v1.squeeze Squeeze"),
    **_named(moves.stack, "stack Stack"),
    **_named(moves.swap_axes, "Swapaxes"),
    **_named(moves.tile, "tile Tile"),
    **_named(moves.transpose, "transpose compat.v1.transpose Transpose"),
    **_named(moves.unstack, "unstack Unstack"),
}


def translate(call: Call, advice: str) -> None:
    """Writes what the function of the step does. `advice` is for one that is not in the table."""
    name = call.step.layer.function
    function = FUNCTIONS.get(name)
    if function is None:
        shown = f"ops.{name.removeprefix('keras.')}" if name.startswith("keras.") else f"tf.{name}"
        known = did_you_mean(name, FUNCTIONS) if len(name) < 80 else ""
        call.fail(
            f"is not supported: it is a call of `{shown[:80]}` outside of layers",
            why="of these functions, those in docs/import.md are translated",
            advice=f"{known} Otherwise {advice}" if known else advice,
        )
    arguments = Arguments(call, function.names)
    function.translate(arguments)
    arguments.done()
