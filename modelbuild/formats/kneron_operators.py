"""The numbers that stand for operators in setup and KNE blocks, by the vendor's generated readers."""

from __future__ import annotations

# Hashes of 32 bits, by a function that is not public; 0 ("Zero") is the default of an absent field.
_TABLE = """
Abs=3908569927 Acos=3990452023 Acosh=817068293 Add=1683102524 And=3887328798 ArgMax=1050926715
ArgMin=3878837505 Asin=777716142 Asinh=3419508738 Atan=476858635 Atanh=102660065 AveragePool=2394922146
BatchNormalization=2277363456 Bernoulli=3602212895 BitShift=1178305420 BitwiseAnd=4018477617
BitwiseNot=1774937233 BitwiseOr=702351749 BitwiseXor=3494734661 BlackmanWindow=2381754856 Cast=1838138786
CastLike=3740061413 Ceil=603527552 Celu=1758492430 CenterCropPad=1778125375 Clip=996759611
Col2lm=1881551014 Compress=1693788937 Concat=271829913 ConcatFromSequence=3051159448 Constant=741503941
Conv=1432940175 ConvInteger=3316413055 ConvTranspose=3299336654 Cos=2616608180 Cosh=766194436
CpuFusion=4199266369 CumSum=3025789091 DepthToSpace=968587555 DequantizeLinear=3624507336 Det=1863196798
DFT=1072244373 Div=864392964 Dropout=1139841956 DynamicQuantizeLinear=3318549520 Einsum=759862754
Elu=1717636091 Equal=324292671 Erf=230874552 Exp=2198001712 Expand=1361178373 EyeLike=3253656209
Flatten=940884089 Floor=3651080517 Fusion=4107876757 Gather=3997005866 GatherElements=1007422715
GatherND=1922873536 Gemm=453006203 GlobalAveragePool=3796166007 GlobalLpPool=656531420
GlobalMaxPool=2520008942 Greater=3185404673 GreaterOrEqual=1159741476 GridSample=596156847
GroupNormalization=980120921 GRU=857524287 HammingWindow=1167092052 HannWindow=317098938
Hardmax=3367278882 HardSigmoid=3737938760 HardSwish=372981622 HwOp=2115459743 Identity=887600175
Input=175822215 InstanceNormalization=3641625815 IsInf=3801560592 IsNaN=4274322438
KneronChannelShuffle=1026619434 KneronChannelSplit=3166288371 KneronDownSample=1350416780
KneronHardSwish=547735243 KneronInvsqrt=303549463 KneronL2Norm=3344559398 KneronLog2=1522416326
KneronLogExp=78450415 KneronMaxRoiPool=2451638324 KneronPow2=1597483586 KneronResize=1187165994
KneronRoll=132069841 KneronScale=3517495544 KneronSpaceToDepth=2942003414 KneronSquare=2106359509
KneronSwish=3213920796 KneronUpsampleZeroFill=231682418 LayerNormalization=2883352687 LeakyRelu=1801313631
Less=4013797960 LessOrEqual=1769259003 Log=1414460897 LogSoftmax=2666263769 Loop=3786381859
LpNormalization=2504861874 LpPool=1823253359 LRN=2527660231 LSTM=1099579883 MatMul=3839042377
MatMulInteger=3210563041 Max=1710404377 MaxPool=3584646087 MaxRoiPool=3483449995 MaxUnpool=2435423616
Mean=3246956568 MeanVarianceNormalization=2177234792 MelWeightMatrix=201724440 Min=2873660179
Mish=2702956376 Mod=4236163859 Mul=848377185 Multinomial=2032917802 Mystery=782019534 Neg=1914265637
NegativeLogLikelihoodLoss=3084868453 None=2146218923 NonMaxSuppression=570028893 NonZero=673276114
Nop=1508623606 Not=1507883642 NpuFusion=4152124534 OneHot=4144529190 Or=2822439912 Output=2542301580
Pad=1995512470 Pow=3967421573 PRelu=1818677053 RandomUniformLike=2430857497 Reciprocal=929060109
ReduceLogSum=1363760250 ReduceLogSumExp=572104897 ReduceMax=3875642715 ReduceMean=3379364582
ReduceSum=2294893282 ReduceSumSquare=3844875369 Relu=71640359 Reshape=4179122201 Resize=1889182129
ReverseSequence=1718996288 RoiAlign=476371970 ScatterND=2604323283 Selu=1796992286 Shrink=2880565472
Sigmoid=2789588003 Slice=2840791721 SliceHeader=1968302720 SliceTail=2639045831 Softmax=1379713085
Softplus=3982554561 Softsign=406024204 SpaceToDepth=2098642393 Sqrt=220338267 Squeeze=707957739
Sub=2344374577 Tanh=1193729636 ThresholdedRelu=926867935 Tile=2117891849 Transpose=2113191656
Unsqueeze=771878406 Upsample=2317314846 Where=2987446404 Xor=1727796734
"""
CODES = {name: int(code) for name, code in (pair.split("=") for pair in _TABLE.split())}
_NAMES = {code: name for name, code in CODES.items()}


def operator_name(code: int) -> str:
    """The operator that a number stands for, or the number in hexadecimal; empty for 0, which is none."""
    return _NAMES.get(code, f"0x{code:08x}" if code else "")


def operator_code(name: str) -> int:
    """The number of an operator where the vendor has one, else 0."""
    return CODES.get(name, 0)
