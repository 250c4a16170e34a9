"""The builders of KPU layers."""

from __future__ import annotations

from modelbuild.kpu.lowering.convolutions import conv
from modelbuild.kpu.lowering.layered import SUMS
from modelbuild.kpu.lowering.matrices import gemm
from modelbuild.kpu.lowering.pools import pool_alone
from modelbuild.kpu.lowering.residual import total

BUILDERS = {
    "AveragePool": pool_alone,
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": gemm,
    "MaxPool": pool_alone,
    **dict.fromkeys(SUMS, total),
}
