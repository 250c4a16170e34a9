"""The tensor functions of the stack machine: operands in the instruction, after `<` those on the stack.

A name with an @ is what the function was before: until the release behind it had a successor.
"""

from __future__ import annotations

_ONE = "datatype:type rshape_src:shape rstride_src:shape rstride_dest:shape"
_TWO = "datatype:type rshape_src1:shape rstride_src1:shape rshape_src2:shape rstride_src2:shape"
_CONVERT = "in_datatype:type dst_datatype:type rshape_src:shape rstride_src:shape rstride_dest:shape"
_GATHER = (
    "datatype:type rshape_src:shape rshape_dest:shape rstride_src:shape rstride_dest:shape"
    " rshape_indices:shape"
)
_WINDOW = "stride_h:u16 stride_w:u16 dilation_h:u16 dilation_w:u16 fused_clamp_low:f32 fused_clamp_high:f32"
_CLAMP = "fused_clamp_low:f32 fused_clamp_high:f32"
_THROUGH = "< input output"

FUNCTIONS: dict[str, str] = {
    "batch_to_space": f"{_ONE} rshape_block:shape rpad_crops:padding {_THROUGH}",
    "binary": (
        f"{_TWO} rshape_dest:shape rstride_dest:shape binary_op:binary {_CLAMP} < input_a input_b output"
    ),
    "binary@1.0": f"{_TWO} rstride_dest:shape binary_op:binary {_CLAMP} < input_a input_b output",
    "broadcast": (
        f"datatype:type rshape_src:shape rstride_src:shape rshape_dest:shape rstride_dest:shape {_THROUGH}"
    ),
    # Each argument of a call is on the stack as address, type, shape register, stride register.
    "call": "function_id:u32 module_id:u16 num_src:u8 num_dst:u8",
    "call@development": "module_id:u32 num_src:u8 num_dst:u8",
    "compare": f"{_TWO} rshape_dest:shape rstride_dest:shape compare_op:compare < input_a input_b output",
    "compress": "input_shape_src:shape condition_shape_src:shape axis:f32 < input condition output",
    # Each input is on the stack as address and stride register, then the output.
    "concat": "datatype:type num_src:u8 axis:u8 rshape_dims:shape rshape_dest:shape rstride_dest:shape",
    "conv2d": (
        "datatype:type rshape_src:shape rstride_src:shape rshape_kernel:shape rstride_kernel:shape"
        f" rstride_bias:shape rstride_dest:shape groups:u16 {_WINDOW}"
        " < input weights bias output %padding_h %padding_w"
    ),
    "convert": f"{_CONVERT} {_THROUGH}",
    "copy": f"datatype:type rshape:shape rstride_src:shape rstride_dest:shape {_THROUGH}",
    "cumsum": f"datatype:type rshape_src:shape axis:i32 exclusive:bool reverse:bool {_THROUGH}",
    "dequantize": f"{_CONVERT} < input output #scale #bias",
    "equal": f"{_TWO} rstride_dest:shape < input_a input_b output",
    "gather": f"{_GATHER} axis:u8 < input output indices",
    "gather_elements": "input_shape_src:shape indices_shape_src:shape axis:i32 < input indices output",
    "gather_nd": f"{_GATHER} batch_dims:u8 < input output indices",
    "gru": (
        "input_shape_src:shape w_shape_src:shape direction:direction linear_before_reset:bool"
        " < input w r b initial_h output output_h"
    ),
    "gru@1.7.1": (
        "input_shape_src:shape w_shape_src:shape direction:direction < input w r b initial_h output output_h"
    ),
    "hardmax": f"datatype:type rshape_src:shape rstride_src:shape axis:i32 {_THROUGH}",
    "layer_normalization": "datatype:type input_shape:shape axis:i32 epsilon:f32 < input scale bias output",
    "lut1d": f"{_ONE} table_len:u16 < input table output #min_value #max_value",
    "matmul": (
        "rshape_src1:shape rstride_src1:shape rshape_src2:shape rstride_src2:shape rshape_dest:shape"
        f" rstride_dest:shape {_CLAMP} < input_a input_b bias output"
    ),
    "matmul@1.3": f"rshape_src1:shape rshape_src2:shape {_CLAMP} < input_a input_b bias output",
    "onehot": (
        "datatype:type rshape_indices:shape rshape_dest:shape rstride_dest:shape axis:u8 onehot_mode:onehot"
        " < indices depth on_value off_value output"
    ),
    "pad": f"{_ONE} rpaddings:padding pad_mode:pad < input output #pad_value",
    "quantize": f"{_CONVERT} < input output #scale #bias",
    "random_normal": "datatype_dest:type rshape_dest:shape mean:f32 std:f32 seed:f32 < output",
    "random_uniform": "datatype_dest:type rshape_dest:shape low:f32 high:f32 seed:f32 < output",
    "reduce": f"{_ONE} reduce_op:reduce rshape_axis:shape keep_dims:bool < input output #init_value",
    "reduce_arg": (
        "datatype_src:type rshape_src:shape rstride_src:shape datatype_dest:type rstride_dest:shape"
        f" reduce_arg_op:reduce_arg rshape_axis:shape keep_dims:bool select_last_idx:bool {_THROUGH}"
    ),
    "reduce_arg@2021-10-18": (
        f"{_ONE} reduce_arg_op:reduce_arg rshape_axis:shape keep_dims:bool select_last_idx:bool {_THROUGH}"
    ),
    "reduce_prod": f"{_ONE} rshape_axes:shape keep_dims:bool {_THROUGH}",
    "reduce_prod@1.1": (
        f"rshape_src:shape rstride_src:shape rstride_dest:shape rshape_axes:shape keep_dims:bool {_THROUGH}"
    ),
    "reduce_window2d": (
        "datatype:type reduce_op:reduce rshape_src:shape rstride_src:shape rstride_dest:shape filter_h:u16"
        f" filter_w:u16 {_WINDOW} < input #init_value output %padding_h %padding_w"
    ),
    "resize_image": (
        f"{_ONE} align_corners:bool half_pixel_centers:bool image_resize_mode:resize < #h #w input output"
    ),
    "roi_align": (
        "datatype:type rshape_src:shape rshape_dest:shape mode:roi_align spatial_scale:f32 sampling_ratio:i64"
        " < input rois batch_indices output"
    ),
    "sigmoid": f"{_ONE} {_THROUGH}",
    "sigmoid@1.2": f"datatype:type rshape_src:shape rstride_src:shape {_THROUGH}",
    "slice": f"{_ONE} rbegins:shape rends:shape rstrides:shape {_THROUGH}",
    "softmax": f"{_ONE} axis:i32 beta:f32 {_THROUGH}",
    "space_to_batch": f"{_ONE} rshape_block:shape rpad_crops:padding {_THROUGH}",
    "ternary": (
        f"{_TWO} rshape_src3:shape rstride_src3:shape rstride_dest:shape < input_a input_b input_c output"
    ),
    "tflite_detection_postprocess": (
        "box_shape_src:shape score_shape_src:shape anchor_shape_src:shape max_detections:i32"
        " max_classes_per_detection:i32 detections_per_class:i32 use_regular_non_max_suppression:bool"
        " nms_score_threshold:f32 nms_iou_threshold:f32 num_classes:i32 y_scale:f32 x_scale:f32 h_scale:f32"
        " w_scale:f32 < box score anchor output_locations output_classes output_scores output_num_detections"
    ),
    "topk": (
        "datatype:type rshape_src:shape rstride_src:shape rshape_dest1:shape rstride_dest1:shape"
        " rshape_dest2:shape rstride_dest2:shape k:i64 axis:i32 largest:bool sorted:bool"
        " < input output_a output_b"
    ),
    "transpose": f"{_ONE} rshape_perm:shape {_THROUGH}",
    "trilu": f"datatype:type rshape_src:shape upper:bool k:i64 {_THROUGH}",
    "unary": f"{_ONE} unary_op:unary {_THROUGH}",
}
