"""The FlatBuffer schemas of Kneron's containers, by the vendor's generated readers (kneron_plus 2.3.0).

One table a line: `Table: name type, name type …` in the order of the slots (`flatbuffer_schema` reads it).
Types: u8 i8 u32 i32 u64 f32 bool str, [x] for a vector of x, the name of a table, and <U> for a union, which
takes two slots.
"""

from __future__ import annotations

from modelbuild.formats.flatbuffer_schema import Schema

_OUTER = """
NEFContent: magic u32, header NEFHeader, model_info [ModelInfo], model_bin ModelBin
NEFHeader: platform str, target i32, crc u32, kn_number u32, encryption_mode i32, compiler_version str,
  toolchain_version str, schema_version SchemaVersion, uuid u32, solution_id str, solution_tag str
SchemaVersion: major u32, minor u32, revision u32
ModelInfo: name str, id i32, version str
ModelBin: fw_info [u8], all_models [u8]
"""
# What an operator of a CPU node is told; the same in setups and in KNE blocks.
_OPTIONS = """
ClipOptions: min f32, max f32
EluOptions: alpha f32
HardSigmoidOptions: alpha f32, beta f32
LeakyReluOptions: alpha f32
SeluOptions: alpha f32, gamma f32
ShrinkOptions: bias f32, lambd f32
SoftmaxOptions: axis i32
ThresholdedReluOptions: alpha f32
BatchNormalizationOptions: epsilon f32, momentum f32
ConstantOptions: values [f32]
ConvOptions: dilations [i32], kernel_shape [i32], pads [i32], strides [i32], group u32
ConvTransposeOptions: dilations [i32], group u32, kernel_shape [i32], pads [i32], strides [i32],
  output_padding [i32], conv_pads [i32]
PadOptions: mode str, pads [i32], value f32
UpsampleOptions: mode str, vscale f32, hscale f32
CastOptions: to i32
DepthToSpaceOptions: blocksize u32, mode str
DropoutOptions: ratio f32
FlattenOptions: axis i32
GatherOptions: axis i32
GatherElementsOptions: axis i32
GemmOptions: alpha f32, beta f32, broadcast u32, transA u32, transB u32
GRUOptions: activation_alpha [f32], activation_beta [f32], activations [str], clip f32, direction str,
  hidden_size i32, linear_before_reset i32
HardmaxOptions: axis i32
LSTMOptions: activation_alpha [f32], activation_beta [f32], activations [str], clip f32, direction str,
  hidden_size i32, input_forget i32
NonMaxSuppressionOptions: center_point_box i32
OneHotOptions: axis i32
ReduceBaseOptions: axes [i32], keepdims i32, noop_with_empty_axes i32
ResizeOptions: coordinate_transformation_mode str, cubic_coeff_a f32, exclude_outside i32,
  extrapolation_value f32, mode str, nearest_mode str
ROIAlignOptions: mode str, output_height i32, output_width i32, sampling_ratio i32, spatial_scale f32
SpaceToDepthOptions: blocksize u32
SqueezeOptions: axes [i32]
TransposeOptions: perm [i32]
UnsqueezeOptions: axes [i32]
KneronChannelShuffleOptions: mode str, group i32
KneronChannelSplitOptions: mode str
KneronDownSampleOptions: pads [i32], strides [i32], offsets [i32]
KneronMaxRoiPoolOptions: pooled_shape [i32], roi_kernel [i32]
KneronResizeOptions: mode i32, near_mode i32, pad_mode i32, phase_init [f32], delta [f32], output_size [i32]
KneronSwishOptions: alpha f32
KneronUpsampleZeroFillOptions: upsample_scale i32, align_corner i32, upsample_scale_v [i32]
FusionOptions: node_list [Operator]
SliceHeaderOptions: kGroupID i32, kRepeatTimes i32, group_nodes [Operator], need_cut bool
SliceTailOptions: group_id u32
BitShiftOptions: direction str
ConcatOptions: axis i32
ModOptions: fmod i32
InstanceNormalizationOptions: epsilon f32
LpNormalizationOptions: axis i32, p i32
LRNOptions: alpha f32, beta f32, bias f32, size i32
PoolBaseOptions: auto_pad str, kernel_shape [i32], pads [i32], strides [i32]
AveragePoolOptions: base PoolBaseOptions, count_include_pad i32, ceil_mode i32
GlobalLpPoolOptions: p i32
MaxPoolOptions: base PoolBaseOptions, dilations [i32], ceil_mode i32, storage_order i32
MaxRoiPoolOptions: pooled_shape [i32], spatial_scale f32
MaxUnpoolOptions: base PoolBaseOptions
SliceOptions: axes [i32], starts [i32], ends [i32], steps [i32]
MultinomialOptions: sample_size i32, seed f32
RandomUniformLikeOptions: high f32, low f32, seed f32
EyeLikeOptions: dtype i32, k i32
MeanVarianceNormalizationOptions: axes [i32]
IsInfOptions: detect_negative i32, detect_positive i32
CenterCropPadOptions: axes [i32]
"""
_SETUP = """
SchemaVersion: major_num u32, minor_num u32, revision_num u32
FileSchemaVersion: major_num u32, minor_num u32, revision_num u32
SegmentInfo: segment i8, start u32, len u32
EncryptInfo: mode i8, key [u8]
Header: platform str, target i32, schema_version SchemaVersion, segment_info [SegmentInfo], encrypt_info
  EncryptInfo, addressing_mode i8, file_schema_version FileSchemaVersion, run_val u32
FxpInfo: scale f32, radix i32
QuantizationParameters: fxp_info [FxpInfo]
Buffer: entry u32, len i32, segment i8
Tensor: name str, format u32, shape [i32], raw_shape [i32], quantization QuantizationParameters, buffer
  Buffer, const_data [u8], shape_intrp_dim [i32], inv_shape_intrp_dim [i32]
ConstData: name str, shape [i32], type i8, values [f32]
KneronSpaceToDepthOptions: blocksize i32
MysteryOptions: id u32, type str
LpPoolOptions: dilations [i32], ceil_mode i32, p i32
Operator: name str, layer_index u32, opcode_index u32, builtin_options <BuiltinOptions>, inputs [Tensor],
  outputs [Tensor], direct_fp bool, weights [ConstData]
INFContent: magic u32, header Header, inputs [Tensor], outputs [Tensor], cpu_nodes [Operator], const_input
  [Tensor]
"""
_KNE = """
SchemaVersion: major_num u32, minor_num u32, revision_num u32
QuantizationParameters: radix [i8], scale [u8], scale_count u32, scale_type i8
DmaBankInfo: bank i8, type i8, association i8
BufferInfo: buffer i8, start_addr u64, len u64
Tensor: name str, format u8, ndim u8, size u32, size_aligned u32, shape [i32], stride_aligned [u32],
  quantization QuantizationParameters, location i8, start_addr u64, shape_intrp_dim [i8],
  inv_shape_intrp_dim [i8], ch_dim u8
ConstData: name str, shape [i32], type i8, values [u8]
KneronSpaceToDepthOptions: blocksize i32, mode str
MysteryOptions: op_type str, attributes [ConstData]
ReverseSequenceOptions: batch_axis i32, time_axis i32
LpPoolOptions: base PoolBaseOptions, dilations [i32], ceil_mode i32, p i32
ArgMaxOptions: axis i32, keepdims i32, select_last_index i32
ArgMinOptions: axis i32, keepdims i32, select_last_index i32
CeluOptions: alpha f32
LogSoftmaxOptions: axis i32
LayerNormalizationOptions: axis i32, epsilon f32, stash_type i32
ConvIntegerOptions: dilations [i32], kernel_shape [i32], pads [i32], strides [i32], group i32
CumSumOptions: exclusive i32, reverse i32
DequantizeLinearOptions: axis i32
GridSampleOptions: align_corners i32, mode str, padding_mode str
CompressOptions: axis i32, axis_set bool
GroupNormalizationOptions: epsilon f32, num_groups i32
KneronRollOptions: shifts [i32], axes [i32]
EinsumOptions: equation str
Operator: name str, opcode_index u32, builtin_options <BuiltinOptions>, inputs [Tensor], outputs [Tensor],
  weights [ConstData]
CPUEUParams: operators [Operator]
NPUEUParams: cmd [u8], weight [u8]
LoopEUParams: max_trip_count u32, condition_var Tensor, npu_params NPUEUParams
CoreHeader: id i32, dependency [i32], inputs [Tensor], outputs [Tensor], parent [i32], children [i32], type
  i8
Core: header CoreHeader, exe_unit [Core], eu_params <EUParams>
EncryptInfo: mode i8, key [u8]
ModelHeader: id i32, inputs [Tensor], outputs [Tensor], core_number i32, npu_run_val u32, dma_bank_info
  [DmaBankInfo], encrypt_info EncryptInfo, compiler_version str, schema_version SchemaVersion, buffer_info
  [BufferInfo]
Model: header ModelHeader, cores [Core], const_input [u8]
KNEHeader: target i8, compiler_version str, schema_version SchemaVersion, buffer_info [BufferInfo]
KNEContent: magic u32, header KNEHeader, models [Model]
"""
# The union of options: code 1 is the first.
_FIRST = (
    "Clip Elu HardSigmoid LeakyRelu Selu Shrink Softmax ThresholdedRelu BatchNormalization Constant "
    "Conv ConvTranspose Pad Upsample Cast DepthToSpace Dropout Flatten Gather GatherElements Gemm GRU "
    "Hardmax LSTM NonMaxSuppression OneHot ReduceBase Resize ROIAlign SpaceToDepth Squeeze Transpose "
    "Unsqueeze KneronChannelShuffle KneronChannelSplit KneronDownSample KneronMaxRoiPool KneronResize "
    "KneronSpaceToDepth KneronSwish KneronUpsampleZeroFill AveragePool Fusion SliceHeader SliceTail "
    "BitShift Concat Mod Mystery InstanceNormalization LpNormalization LRN PoolBase GlobalLpPool "
    "MaxPool MaxRoiPool MaxUnpool Slice Multinomial RandomUniformLike"
)
_SETUP_OPTIONS = "EyeLike MeanVarianceNormalization IsInf LpPool CenterCropPad"
_KNE_OPTIONS = (
    "ReverseSequence EyeLike MeanVarianceNormalization IsInf LpPool CenterCropPad ArgMax ArgMin Celu "
    "LogSoftmax LayerNormalization ConvInteger CumSum DequantizeLinear GridSample Compress "
    "GroupNormalization KneronRoll Einsum"
)
_UNITS = ("NPUEUParams", "CPUEUParams", "LoopEUParams")


def _options(*texts: str) -> tuple[str, ...]:
    return tuple(f"{name}Options" for text in texts for name in text.split())


OUTER = Schema("NEFContent", _OUTER)
SETUP = Schema("INFContent", _OPTIONS + _SETUP, {"BuiltinOptions": _options(_FIRST, _SETUP_OPTIONS)})
KNE = Schema(
    "KNEContent",
    _OPTIONS + _KNE,
    {"BuiltinOptions": _options(_FIRST, _KNE_OPTIONS), "EUParams": _UNITS},
)
# Before schema 3.0.4 tensors had one more slot, and addresses 32 bits (release notes; the slot's place is
# inferred).
OLD_KNE = Schema(
    "KNEContent",
    (_OPTIONS + _KNE)
    .replace("stride_aligned [u32]", "stride_compact [u32], stride_aligned [u32]")
    .replace("start_addr u64", "start_addr u32")
    .replace("len u64", "len u32"),
    {"BuiltinOptions": _options(_FIRST, _KNE_OPTIONS), "EUParams": _UNITS},
)
