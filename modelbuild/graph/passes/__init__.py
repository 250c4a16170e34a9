"""The passes: one module each, `run(graph) -> int` rewrites in place, returns changes, is idempotent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import guard
from modelbuild.graph.model import Graph
from modelbuild.graph.passes import (
    batch_normalization_to_conv,
    depth_to_space_to_transpose,
    divide_to_reciprocal,
    explicit_axes,
    explicit_clip,
    explicit_windows,
    flat_to_spatial,
    flatten_to_reshape,
    fold_batch_normalization,
    fold_constants,
    fold_pad,
    fold_scale_and_shift,
    gemm_to_conv,
    global_pool_to_pool,
    hard_swish_to_mul,
    identity_to_reshape,
    instance_normalization_to_primitives,
    layer_normalization_to_primitives,
    matmul_to_gemm,
    merge_duplicates,
    merge_reshapes,
    merge_transposes,
    push_transposes,
    reduce_mean_to_pool,
    remove_dead_nodes,
    remove_no_ops,
    reshape_behind_elementwise,
    space_to_depth_to_transpose,
    split_to_slice,
    subtract_to_add,
)
from modelbuild.graph.rewrite import copied

# Chip-neutral: what `normalise` runs, in this order and again until nothing changes.
NORMALISE: Mapping[str, ModuleType] = {
    "fold_constants": fold_constants,  # nodes of constants only, and shape arithmetic -> constants
    "remove_no_ops": remove_no_ops,  # Identity, Dropout, Cast to the same type, Pad by 0, x + 0, x * 1 ...
    "explicit_windows": explicit_windows,  # auto_pad, ceil_mode, defaults of Conv and pools -> explicit
    "explicit_clip": explicit_clip,  # Clip with both bounds constant; Clip(0, inf) -> Relu
    "explicit_axes": explicit_axes,  # negative axes -> positive; Slice with starts, ends, axes, steps
    "flatten_to_reshape": flatten_to_reshape,  # Flatten, Squeeze, Unsqueeze -> Reshape to a constant
    "merge_reshapes": merge_reshapes,  # Reshape after Reshape
    "merge_transposes": merge_transposes,  # Transpose after Transpose; of dimensions of 1 -> Reshape
    "push_transposes": push_transposes,  # through what does not care for the order of axes, until they cancel
    "matmul_to_gemm": matmul_to_gemm,  # MatMul(x, constant) (+ Add) -> Gemm(transB=1)
    "subtract_to_add": subtract_to_add,  # x - c -> x + (-c); x / c -> x * (1 / c)
    "fold_batch_normalization": fold_batch_normalization,  # into the Conv or Gemm before or after
    "fold_scale_and_shift": fold_scale_and_shift,  # Mul and Add a channel into Conv or Gemm
    "batch_normalization_to_conv": batch_normalization_to_conv,  # the rest: 1x1 depthwise Conv, Mul and Add
    "fold_pad": fold_pad,  # Pad into Conv, AveragePool, MaxPool
    "reduce_mean_to_pool": reduce_mean_to_pool,  # ReduceMean, AveragePool of all -> GlobalAveragePool
    "merge_duplicates": merge_duplicates,  # equal nodes on equal inputs -> one
    "remove_dead_nodes": remove_dead_nodes,  # nodes and constants that reach no output
}

# What a recipe's `passes:` may name for `lower`, besides all of the above.
LOWERING: Mapping[str, ModuleType] = {
    "split_to_slice": split_to_slice,  # Split -> one Slice an output
    "gemm_to_conv": gemm_to_conv,  # Gemm -> Reshape, 1x1 Conv, Reshape
    "depth_to_space_to_transpose": depth_to_space_to_transpose,  # -> Reshape, Transpose, Reshape
    "space_to_depth_to_transpose": space_to_depth_to_transpose,  # -> Reshape, Transpose, Reshape
    "hard_swish_to_mul": hard_swish_to_mul,  # HardSwish(x) -> x * HardSigmoid(x)
    "flat_to_spatial": flat_to_spatial,  # Conv and pools on [N, C, L] -> on [N, C, 1, L]
    "reshape_behind_elementwise": reshape_behind_elementwise,  # Relu(Reshape(x)) -> Reshape(Relu(x))
    "layer_normalization_to_primitives": layer_normalization_to_primitives,  # -> ReduceMean, Sub, Mul ...
    "instance_normalization_to_primitives": instance_normalization_to_primitives,  # likewise
    "divide_to_reciprocal": divide_to_reciprocal,  # x / y -> x * Reciprocal(y)
    "identity_to_reshape": identity_to_reshape,  # what is left of Identity -> Reshape
    "global_pool_to_pool": global_pool_to_pool,  # GlobalAveragePool -> AveragePool of the whole picture
}

PASSES: Mapping[str, ModuleType] = {**NORMALISE, **LOWERING}


@dataclass(frozen=True)
class PassResult:
    """What one run of one pass did."""

    name: str
    nodes_before: int
    nodes_after: int
    changes: int

    def to_json(self) -> dict[str, object]:
        """A row of `passes` in import.json and lower.json."""
        return {
            "name": self.name,
            "nodes_before": self.nodes_before,
            "nodes_after": self.nodes_after,
            "changes": self.changes,
        }


def run_passes(graph: Graph, names: Sequence[str], paranoid: bool = False) -> tuple[Graph, list[PassResult]]:
    """Runs the passes `names` in order on a copy of `graph`.

    With `paranoid`, the guard compares the graph before and after each pass that changed something, and the
    error names the pass. Raises for an unknown name.
    """
    for name in names:
        if name not in PASSES:
            raise ModelbuildError(
                f"there is no pass `{name}`",
                advice=did_you_mean(name, PASSES) or f"the passes: {', '.join(sorted(PASSES))}",
            )
    result, rows = copied(graph), []
    for name in names:
        before = copied(result) if paranoid else None
        count = len(result.nodes)
        with np.errstate(all="ignore"):  # weights that are not numbers stay so; the guard compares them
            changes = PASSES[name].run(result)
        rows.append(PassResult(name, count, len(result.nodes), changes))
        if before is not None and changes:
            guard.check(before, result, what=f"the pass {name}")
    return result, rows
