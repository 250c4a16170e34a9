"""The passes: one module each, `run(graph) -> int` rewrites in place, returns changes, is idempotent."""

from __future__ import annotations

# What `normalise` runs, in this order and again until nothing changes. Chip-neutral.
NORMALISE: tuple[str, ...] = (
    "fold_constants",  # nodes of constants only, and shape arithmetic of static shapes -> constants
    "remove_no_ops",  # Identity, Dropout, Cast to the same type, Pad by 0, Concat of one, x + 0, x * 1 ...
    "explicit_windows",  # auto_pad, ceil_mode and defaults of Conv/Pool -> explicit kernel_shape, strides, pads
    "explicit_clip",  # Clip with both bounds constant; Clip(0, inf) -> Relu
    "explicit_axes",  # negative axes -> positive; Slice with starts, ends, axes, steps in full
    "flatten_to_reshape",  # Flatten, Squeeze, Unsqueeze, Reshape -> Reshape with a constant target
    "merge_reshapes",  # Reshape after Reshape
    "merge_transposes",  # Transpose after Transpose; Transpose that moves only dimensions of 1 -> Reshape
    "matmul_to_gemm",  # MatMul(x, constant) of rank 2 (+ Add) -> Gemm(transB=1)
    "subtract_to_add",  # x - c -> x + (-c); x / c -> x * (1 / c)
    "fold_batch_normalization",  # BatchNormalization into the Conv/ConvTranspose/Gemm before or after it
    "fold_scale_and_shift",  # Mul and Add of per-channel constants into the Conv/ConvTranspose/Gemm before
    "batch_normalization_to_conv",  # what is left: 1x1 depthwise Conv (rank 4) or Mul and Add
    "fold_pad",  # Pad into Conv, AveragePool, MaxPool
    "reduce_mean_to_pool",  # ReduceMean over the spatial axes, AveragePool of the whole -> GlobalAveragePool
    "merge_duplicates",  # equal nodes on equal inputs -> one; equal constants -> one
    "remove_dead_nodes",  # nodes and constants that reach no output
)

# What a recipe's `passes:` may name for `lower` (besides all of the above).
LOWERING: tuple[str, ...] = (
    "split_to_slice",  # Split -> one Slice an output
    "gemm_to_conv",  # Gemm on [N, K] -> Reshape, 1x1 Conv, Reshape
    "depth_to_space_to_transpose",  # DepthToSpace -> Reshape, Transpose, Reshape
    "space_to_depth_to_transpose",  # SpaceToDepth -> Reshape, Transpose, Reshape
    "hard_swish_to_mul",  # HardSwish(x) -> x * HardSigmoid(x)
    "flat_to_spatial",  # Conv, pools of rank 3 [N, C, L] -> rank 4 [N, C, 1, L] between Reshapes
    "layer_normalization_to_primitives",  # LayerNormalization -> ReduceMean, Sub, Mul, Sqrt, Div ...
    "global_pool_to_pool",  # GlobalAveragePool / GlobalMaxPool -> AveragePool / MaxPool of the whole
)
