"""The number systems `kpu@1` and `float32`: layers of the K210's KPU on bytes, everything else in float32."""

from modelbuild.arithmetic.kpu.session import KpuSession, run

__all__ = ["KpuSession", "run"]
