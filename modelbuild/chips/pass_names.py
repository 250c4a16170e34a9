"""The vocabulary of passes: recipes and a manifest's `optimize:` are read by it without loading a single one.
What each one does is written in docs/passes.md and implemented in `modelbuild/graph/passes/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelbuild.errors import Problem, did_you_mean

# Chip-neutral: what `normalise` runs, in this order and again until nothing changes.
NORMALISE = (
    "fold_constants",
    "remove_no_ops",
    "explicit_windows",
    "explicit_clip",
    "explicit_axes",
    "explicit_resize",
    "flatten_to_reshape",
    "operator_between_reshapes",
    "merge_reshapes",
    "merge_transposes",
    "merge_duplicates",
    "recognise_layer_normalization",
    "push_transposes",
    "gather_to_slice",
    "split_to_one_slice",
    "merge_slices",
    "merge_concats",
    "matmul_to_gemm",
    "subtract_to_add",
    "merge_scales",
    "recognise_hard_swish",
    "recognise_gelu",
    "fold_batch_normalization",
    "fold_scale_and_shift",
    "batch_normalization_to_conv",
    "fold_pad",
    "reduce_mean_to_pool",
    "remove_dead_nodes",
)

# What a recipe's `passes:` may name for `lower`, besides all of the above.
LOWERING = (
    "banded_matmul_to_parts",
    "input_offset_to_codes",
    "choices_to_arithmetic",
    "finite_masks",
    "recurrence_to_steps",
    "gemm_to_matmul",
    "flat_mean_to_pool",
    "index_to_slice",
    "split_to_slice",
    "mean_behind_gemm",
    "gemm_to_conv",
    "depth_to_space_to_transpose",
    "space_to_depth_to_transpose",
    "hard_swish_to_mul",
    "flat_to_spatial",
    "reshape_behind_elementwise",
    "layer_normalization_to_primitives",
    "instance_normalization_to_primitives",
    "divide_to_reciprocal",
    "identity_to_reshape",
    "global_pool_to_pool",
    "focus_to_conv",
    "channel_shuffle_to_conv",
    "channel_slice_to_conv",
    "resize_to_asymmetric",
    "linear_resize_to_pools",
    "resize_by_axis",
    "prelu_to_conv",
    "function_before_max_pool",
    "strided_conv_to_slice",
    "dilated_to_dense",
    "large_kernel_to_small",
    "split_global_pool",
    "split_input_channels",
    "conv_transpose_to_conv",
    "duplicate_shared_weights",
    "clean_names",
)

# Passes of `normalise` that cannot be left out -> why.
REQUIRED: Mapping[str, str] = {
    "fold_constants": "what is the same for every input has to be a constant for all that follows",
    "remove_no_ops": "no later stage has an Identity or Dropout",
    "explicit_windows": "no later stage resolves auto_pad, output_shape or ceil_mode",
    "explicit_clip": "no later stage has Min and Max, or a Clip without both bounds",
    "explicit_axes": "no later stage counts axes from the end",
    "flatten_to_reshape": "no later stage has Flatten, Squeeze or Unsqueeze",
    "matmul_to_gemm": "later stages take the weights of a Gemm in one form only",
    "batch_normalization_to_conv": "no number system has a BatchNormalization",
    "remove_dead_nodes": "what nobody reads would be quantized and compiled",
}


# Passes that a recipe may name with a limit: `split_global_pool(7)`.
LIMITED = frozenset(
    {
        "dilated_to_dense",
        "large_kernel_to_small",
        "mean_behind_gemm",
        "split_global_pool",
        "split_input_channels",
    }
)

_ENTRY = re.compile(r"(\w+)(?:\((\d{1,4})\))?")


def parsed(entry: str) -> tuple[str, tuple[int, ...]]:
    """The name in an entry of a recipe's `passes`, and its number if it has one."""
    found = _ENTRY.fullmatch(entry)
    return (entry, ()) if found is None else (found[1], (int(found[2]),) if found[2] else ())


def base(entry: str) -> str:
    """The name in an entry of a recipe's `passes`."""
    return parsed(entry)[0]


def wrong(entry: str, where: str = "") -> Problem | None:
    """What is wrong with an entry of a recipe's `passes`, if anything is: its name, or a number too many."""
    (name, numbers), known = parsed(entry), (*NORMALISE, *LOWERING)
    if name not in known:
        advice = did_you_mean(name, known) or f"the passes: {', '.join(sorted(known))}"
        return Problem(f"there is no pass `{name}`", where, advice=advice)
    if (numbers and name not in LIMITED) or 0 in numbers:
        needs = "takes a limit above 0" if name in LIMITED else "takes no number"
        return Problem(f"the pass `{entry}` {needs}", where)
    return None


def for_recipe(passes: Sequence[str]) -> tuple[str, ...]:
    """What `optimize` may name where a recipe has these `passes`: those of normalising, and these."""
    return tuple(dict.fromkeys((*NORMALISE, *map(base, passes))))


def chosen(names: Sequence[str], skip: Sequence[str] = (), only: Sequence[str] | None = None) -> list[str]:
    """Those of `names`, in their order, that `optimize: {skip, only}` leaves; the required ones always."""
    return [name for name in names if name in REQUIRED or named(name, skip, only)]


def named(entry: str, skip: Sequence[str] = (), only: Sequence[str] | None = None) -> bool:
    """Whether `optimize: {skip, only}` leaves the entry of a recipe's `passes`."""
    return base(entry) not in skip and (only is None or base(entry) in only)
