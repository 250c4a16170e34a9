"""The vendors' own names of options, and what each is in our words (docs/knobs.md)."""

from __future__ import annotations

from modelbuild.manifest.vendors import compiling, kneron, nncase, sima
from modelbuild.manifest.vendors.knob import Knob

KNOBS: dict[str, tuple[Knob, ...]] = {
    "Kneron": kneron.KNOBS,
    "nncase": nncase.KNOBS,
    "SiMa": sima.KNOBS,
}
COMPILE_KNOBS: dict[str, tuple[Knob, ...]] = {"Kneron": compiling.KNERON, "SiMa": compiling.SIMA}
BY_NAME: dict[str, Knob] = {knob.name: knob for knobs in KNOBS.values() for knob in knobs}
# section of the settings -> name -> knob
SECTIONS: dict[str, dict[str, Knob]] = {
    "quantize": BY_NAME,
    "compile": {knob.name: knob for knobs in COMPILE_KNOBS.values() for knob in knobs},
}
CompileNames = compiling.Names


class Names(kneron.Names, nncase.Names, sima.Names):
    """What may stand under `quantize:` in a vendor's spelling."""
