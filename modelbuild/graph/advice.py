"""What to do about a node that a chip's NPU does not run: what it takes, what rewrites it, where to cut, who
else runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from modelbuild.chips import pass_names
from modelbuild.chips.recipe import Recipe
from modelbuild.graph import preprocess_nodes
from modelbuild.graph.definable import COMPLETE, not_finite
from modelbuild.graph.placement import Placed, Table, operator, runs_on_npu, table
from modelbuild.graph.rules import Breach, shown
from modelbuild.graph.subject import Subject, moves_nothing

_ON_THE_HOST = "it belongs after the chip"

# operator -> what to put in its place
_REPLACEMENTS: dict[str, str] = {
    "ArgMax": _ON_THE_HOST,
    "ArgMin": _ON_THE_HOST,
    "ConvTranspose": "a nearest-neighbour Resize and a Conv do the same work",
    "Einsum": "write it as MatMul with Reshape and Transpose",
    "GRU": "unroll the recurrence in the source model",
    "Gelu": "use Relu or HardSwish and train again",
    "GridSample": "use Resize or a convolution instead",
    "HardSigmoid": "use Relu and train again, or Sigmoid",
    "HardSwish": "use Relu and train again",
    "If": "export the model with the branch fixed (no control flow)",
    "LSTM": "unroll the recurrence in the source model",
    "Loop": "export the model with the loop unrolled (no control flow)",
    "NonMaxSuppression": _ON_THE_HOST,
    "RNN": "unroll the recurrence in the source model",
    "Scan": "export the model with the loop unrolled (no control flow)",
    "Sigmoid": "use HardSigmoid or Relu and train again; at the end of a model, " + _ON_THE_HOST,
    "Softmax": _ON_THE_HOST,
    "TopK": _ON_THE_HOST,
    "Where": "write the choice as Mul and Add of constant masks",
}

_SMALLER_WINDOW = (
    "cover a large window by several small ones, one after another (two of 3x3 see what one of 5x5 sees)"
)
_ANOTHER_WINDOW = "take a window and a stride that it has"
_BEHIND = ("after", "chained")
_ACCEPT = "accept the time of the CPU (`modelbuild evaluate` tells it)"
_BETWEEN = (
    "nothing, as no byte moves; but layers on either side of it are parted, and what goes between them "
    "leaves the NPU's memory (`modelbuild evaluate` tells the time)"
)
_SMALLER_STEPS = "take smaller steps in two layers instead of a large one"

_WITH_WEIGHTS = (
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "GRU",
    "LSTM",
    "MatMul",
    "PRelu",
    "RNN",
)
_DAMAGED = "the file is damaged, or its training went wrong: export the model again"
_FINITE = "write a large finite number in place of infinity"

# (operator, condition) -> how to hold the condition; the operator "" stands for all others
_MENDS: dict[tuple[str, str], str] = {
    ("Conv", "kernel"): _SMALLER_WINDOW,
    ("Conv", "stride"): _SMALLER_STEPS,
    ("Conv", "stride_h"): _SMALLER_STEPS,
    ("Conv", "stride_w"): _SMALLER_STEPS,
    ("Conv", "group"): "use one group, or as many as channels",
    ("AveragePool", "kernel"): "pool twice with small windows",
    ("MaxPool", "kernel"): "pool several times with small windows: two of 3x3 see what one of 5x5 sees",
    ("MaxPool", "ceil_mode"): "export with ceil_mode off and pad the map instead",
    ("GlobalAveragePool", "spatial_size"): "pool in two steps, or use a smaller input picture",
    ("Resize", "changed_axes"): "scale rows and columns in two steps",
    ("Upsample", "changed_axes"): "scale rows and columns in two steps",
    ("Resize", "nearest_mode"): "export with nearest_mode floor and asymmetric coordinates",
    ("Resize", "coordinate_mode"): "export with those coordinates (PyTorch: align_corners, or mode nearest)",
    ("Clip", "lower_bound"): "use Relu or ReLU6 and train again",
    ("Pow", "exponent"): "write the power as products",
    ("", "after"): "mend what is said of the node before it",
    ("", "chained"): "mend what is said of the nodes before it, if anything is",
    ("", "input_memory"): "use smaller maps or fewer channels",
    ("", "after_stride"): "pool behind a convolution of stride 1",
    ("", "after_group"): "pool behind an ordinary convolution",
    ("", "axes"): "keep the batch out of it, and act on the axes that are named",
    ("", "constant_input"): "export with this input fixed",
    ("", "dilation"): "use a window without gaps",
    ("", "keepdims"): "keep the reduced axes (keepdims=1) and reshape after it",
    ("", "output_rank"): "join axes of the tensors by a Reshape",
    ("", "rank"): "join axes of the tensor by a Reshape",
    ("", "layer_memory"): "use smaller maps or fewer channels",
    ("", "row_memory"): "use smaller maps or fewer channels",
    ("", "steps"): "slice without steps, or take a pool of stride 2",
}

# (operator, condition) -> the pass of docs/passes.md that rewrites such nodes
_PASSES: dict[tuple[str, str], str] = {
    ("DepthToSpace", ""): "depth_to_space_to_transpose",
    ("Div", ""): "divide_to_reciprocal",
    ("Gemm", ""): "gemm_to_conv",
    ("GlobalAveragePool", "spatial_size"): "split_global_pool",
    ("ConvTranspose", ""): "conv_transpose_to_conv",
    ("Conv", "dilation"): "dilated_to_dense",
    ("Conv", "kernel"): "large_kernel_to_small",
    ("HardSwish", ""): "hard_swish_to_mul",
    ("InstanceNormalization", ""): "instance_normalization_to_primitives",
    ("LayerNormalization", ""): "layer_normalization_to_primitives",
    ("SpaceToDepth", ""): "space_to_depth_to_transpose",
    ("Split", ""): "split_to_slice",
    ("Conv", "stride"): "strided_conv_to_slice",
    ("Conv", "stride_h"): "strided_conv_to_slice",
    ("Conv", "stride_w"): "strided_conv_to_slice",
    ("Resize", "changed_axes"): "resize_by_axis",
    ("Resize", "coordinate_mode"): "resize_to_asymmetric",
    ("Resize", "nearest_mode"): "resize_to_asymmetric",
}


_BEFORE = (
    "after",
    "after_group",
    "after_stride",
    "chained",
    "behind_npu",
    "reads_npu_maps",
    "same_shapes",
    "whole_rows",
)  # conditions on the node before
# conditions whose argument is no value that a node could have
_NOT_TOLD = ("constant_input", "computed_input", "before", *_BEFORE)
_WORDS = {
    "kernel_h": "kernel",
    "kernel_w": "kernel",
    "stride_h": "stride over rows",
    "stride_w": "stride over columns",
    "row_memory": "bytes of the maps",
    "input_memory": "bytes of the input map",
    "layer_channels": "channels",
    "layer_height": "height",
    "layer_memory": "bytes of the maps of a layer",
    "layer_width": "width",
    "moved_products": "multiply-accumulates for each cell that the CPU moves",
}


class Advisor:
    """Advice about the nodes of one model on one chip. `others` are the chips that may run what it lacks."""

    def __init__(self, recipe: Recipe, others: Callable[[], Sequence[Recipe]]) -> None:
        self._recipe = recipe
        self._others = others
        # whether what modelbuild makes is the whole program, the CPU's part with it
        self._has_cpu = recipe.number_format.arithmetic in COMPLETE

    def of_refused(self, one: Placed) -> str:
        """For a node that nothing on the chip runs: the build cannot go on with it."""
        ways = [*self._mends(one), _cut(one.subject), self._elsewhere(one)]
        return _sentence(_allowed(one), ways)

    def of_slow(self, one: Placed, feeds_npu: bool) -> str:
        """For a node on the CPU. Equal for equal nodes, so that they are told together."""
        if self._has_cpu:
            if moves_nothing(one.subject):
                return _BETWEEN
            elsewhere = self._elsewhere(one) if self._tables else ""
            return _sentence(_allowed(one), [*self._mends(one), _ACCEPT, elsewhere])
        tail = "" if feeds_npu else "cut it off with what follows (edit: [{tail: auto}])"
        accept = _ACCEPT if feeds_npu else ""
        return _sentence(_allowed(one), [*self._mends(one), tail, accept, self._elsewhere(one)])

    def of_undefined(self, one: Placed) -> str:
        """For a node that the number system does not define, on whatever chip that has it."""
        if not_finite(one.subject):
            is_weight = operator(one.subject.node) in _WITH_WEIGHTS
            return _DAMAGED if is_weight else f"{_FINITE}; or, where none is meant: {_DAMAGED}"
        vendor = "" if self._has_cpu else "build with the vendor's toolchain"
        mend = _REPLACEMENTS.get(operator(one.subject.node), "replace it in the source model")
        return _sentence("", [mend, _cut(one.subject), vendor])

    def _mends(self, one: Placed) -> Iterator[str]:
        node = one.subject.node
        order = node.ints("perm", []) or None
        if own := preprocess_nodes.mend(node.op, node.origin, order):
            yield own
            return
        name = operator(one.subject.node)
        breaches = [breach for form in one.broken for breach in form]
        broken = list(dict.fromkeys(breach.condition for breach in breaches))
        bounded = {breach.condition for breach in breaches if isinstance(breach.allowed, dict)}
        for condition in broken:
            mend = _MENDS.get((name, condition)) or _MENDS.get(("", condition))
            if condition == "kernel" and condition not in bounded:
                mend = _ANOTHER_WINDOW  # a smaller one would not do
            if condition in _BEHIND and self._has_cpu:
                mend = None  # which may be a sum that the CPU computes: nothing is wrong with it
            if mend:
                yield mend
        replacement = _REPLACEMENTS.get(name, "")
        if self._has_cpu and one.unit != "none":
            replacement = "" if _ON_THE_HOST in replacement else replacement  # it is part of the program
        elif not replacement and not broken:
            yield "replace it in the source model"
        if replacement:
            yield replacement
        for condition in ["", *broken]:
            rewriting = _PASSES.get((name, condition))
            if rewriting:
                yield self._pass(rewriting)

    def _pass(self, name: str) -> str:
        own = name in map(pass_names.base, self._recipe.passes)
        if self._has_cpu and not own:
            return ""  # its lowering does as much, or better
        if own:
            return f"see that `optimize:` does not leave out the pass `{name}`, which rewrites such nodes"
        keys = f"`extends: {self._recipe.chip}`, `own_passes: [{name}]`"
        return f"let the pass `{name}` rewrite it, in a recipe of your own ({keys})"

    def elsewhere(self, takes: Callable[[Recipe], bool]) -> str:
        """Which of the other chips can; nothing where none can."""
        able = [recipe.chip for recipe in self._chips if takes(recipe)]
        return f"take another chip: {_listed(able, 'and')} can" if able else ""

    def _elsewhere(self, one: Placed) -> str:
        if not self._tables:
            return "take another chip"
        if one.broken and all(breach.condition in _BEFORE for form in one.broken for breach in form):
            return ""  # the node itself is not what is wrong
        takers = [chip for chip, rules in self._tables.items() if runs_on_npu(one.subject, rules)]
        if not takers:
            return ""
        return f"take another chip: the NPU of {_listed(takers, 'and')} runs it"

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {recipe.chip: table(recipe.operators) for recipe in self._chips}

    @cached_property
    def _chips(self) -> Sequence[Recipe]:
        return [recipe for recipe in self._others() if recipe.chip != self._recipe.chip]


def _cut(subject: Subject) -> str:
    """The edit that ends the model before the node, by the names of the source where they are known; nothing
    where the model begins with the node."""
    if not any(name in subject.producers for name in subject.node.inputs):
        return ""
    before = [
        producer.origin[-1]
        for producer in map(subject.producers.get, subject.node.inputs)
        if producer is not None and producer.origin
    ]
    if not before:
        return "cut the model before it (edit: cut: outputs) and compute it after the chip"
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(before))
    return f"cut the model before it (edit: [{{cut: {{outputs: [{names}]}}}}]) and compute it after the chip"


def _allowed(one: Placed) -> str:
    """What the conditions that the node breaks take, where that is a number or a name."""
    forms = [
        " and ".join(filter(None, map(_argument, form)))
        for form in one.broken
        if all(_argument(breach) for breach in form)
    ]
    return _listed(list(dict.fromkeys(forms)), "or") if forms else ""


def _argument(breach: Breach) -> str:
    if breach.allowed is True or breach.condition in _NOT_TOLD:
        return ""
    word = _WORDS.get(breach.condition, breach.condition.replace("_", " "))
    return f"{word} {_range(breach.allowed)}"


def _range(allowed: Any) -> str:
    if isinstance(allowed, list):
        return _listed([str(item) for item in allowed], "or")
    if not isinstance(allowed, dict):
        return shown(allowed)
    words = {"min": "at least", "max": "at most"}
    parts = [f"{word} {shown(allowed[key])}" for key, word in words.items() if key in allowed]
    return " and ".join([*parts, *(["a power of two"] if "power_of_two" in allowed else [])])


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _sentence(allowed: str, ways: Sequence[str]) -> str:
    """What is allowed, and the ways out."""
    said = "; or ".join(dict.fromkeys(way for way in ways if way))
    return f"allowed is {allowed}: {said}" if allowed and said else said or allowed
