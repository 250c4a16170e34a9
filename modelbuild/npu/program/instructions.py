"""The instruction set: every instruction, and which setup each tile needs."""

from __future__ import annotations

from modelbuild.npu.program.encoding import Instruction
from modelbuild.npu.program.setups import (
    AveragePoolSetup,
    BinarySetup,
    ConvolutionSetup,
    CurveSetup,
    MatmulSetup,
    MaxPoolSetup,
    ReduceMaxSetup,
    ReduceSumSetup,
    RescaleSetup,
    ResizeSetup,
    SoftmaxSetup,
    TableSetup,
)
from modelbuild.npu.program.tiles import (
    AveragePool,
    Binary,
    Convolution,
    Curve,
    Matmul,
    MaxPool,
    ReduceMax,
    ReduceSum,
    Rescale,
    Resize,
    Softmax,
    Table,
)
from modelbuild.npu.program.transfers import (
    End,
    Fill,
    Layer,
    Load,
    LoadConstants,
    Output,
    Store,
    Yield,
)

SETUP_OF: dict[type[Instruction], type[Instruction]] = {
    Convolution: ConvolutionSetup,
    MaxPool: MaxPoolSetup,
    AveragePool: AveragePoolSetup,
    Binary: BinarySetup,
    Rescale: RescaleSetup,
    Table: TableSetup,
    Curve: CurveSetup,
    Matmul: MatmulSetup,
    ReduceSum: ReduceSumSetup,
    ReduceMax: ReduceMaxSetup,
    Softmax: SoftmaxSetup,
    Resize: ResizeSetup,
}

_CONTROL: tuple[type[Instruction], ...] = (Layer, Yield, End, Output, Load, LoadConstants, Store, Fill)

INSTRUCTIONS: dict[int, type[Instruction]] = {
    kind.opcode: kind for kind in (*_CONTROL, *SETUP_OF.values(), *SETUP_OF)
}
