"""The toolchain that needs nothing installed: our quantizer, our compiler, our simulator."""

from __future__ import annotations

from modelbuild import __version__

LEVELS = ("float", "fixed", "hardware")  # what it can simulate
FIXED_FORM = "qdq"
SILICON = False
SOURCE_SUFFIXES_REFUSED = (".bie", ".sima")  # vendors' own forms, opened by the vendors' toolchains only
# The stages of a model on a target, in order. The shared ones come first.
STAGES = (
    "import_source",
    "normalise",
    "lower",
    "check",
    "evaluate",
    "observe",
    "quantize",
    "apply",
    "verify_fixed",
    "compile",
)
STAGES_OF_FIXED = ("import_fixed", "compile")  # for a source that is a .fixed.onnx already
PACKAGE_STAGES = ("package", "verify_hardware", "gate", "report")


def fingerprint() -> str:
    """What identifies this toolchain in keys and packages."""
    return f"builtin/{__version__}"
