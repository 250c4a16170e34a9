"""The toolchain that needs nothing installed: our quantizer, our compiler, our simulator."""

from __future__ import annotations

from modelbuild import __version__

LEVELS = ("float", "fixed", "hardware")  # the forms of a model that it can run
# The number systems whose programs are machine code; those of others run in its own simulator only.
SILICON = ("kpu@1", "float32")
WRITES = {"kmodel": {"version": 5, "runtime": "nncase 1.9"}}  # of formats that have several: which
REFUSED_SOURCES = {".bie": "ktc", ".sima": "palette"}  # vendors' own forms, and the toolchains that read them
# The stages of a model on a target, in order. The shared ones come first.
STAGES = (
    "fetch",
    "import_source",
    "normalise",
    "check_samples",
    "check_calibration",
    "lower",
    "check",
    "evaluate",
    "observe",
    "quantize",
    "apply",
    "verify_fixed",
    "check_result",
    "remeasure",
    "compile",
)
STAGES_OF_FIXED = ("fetch", "import_fixed", "compile")  # for a source that is a .fixed.onnx already
PACKAGE_STAGES = ("package", "locked", "gate", "report")
STAGES_OF_PACKAGED_MODEL = ("verify_hardware",)  # of each model in a package, between package and gate
# All of them, in the order in which they run.
PIPELINE = (
    *STAGES[:2],
    STAGES_OF_FIXED[1],
    *STAGES[2:],
    PACKAGE_STAGES[0],
    *STAGES_OF_PACKAGED_MODEL,
    *PACKAGE_STAGES[1:],
)


def fingerprint() -> str:
    """What identifies this toolchain in keys and packages."""
    return f"builtin/{__version__}"
