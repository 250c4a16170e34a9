"""Number system `tflite@1`: a quantized source, run in integers as TFLite's reference kernels run it.

docs/arithmetic.md defines it. The graph is what importers make of quantized files: floats with the source's
quantization kept beside them (`graph.kept_quantization`).
"""

from modelbuild.arithmetic.tflite.session import run

ARITHMETIC = "tflite@1"

__all__ = ["ARITHMETIC", "run"]
