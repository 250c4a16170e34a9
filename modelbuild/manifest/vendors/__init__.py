"""The vendors' own names of options of quantization, and what each is in our words (docs/knobs.md)."""

from __future__ import annotations

from modelbuild.manifest.vendors import kneron, nncase, sima
from modelbuild.manifest.vendors.knob import Knob

KNOBS: dict[str, tuple[Knob, ...]] = {
    "Kneron": kneron.KNOBS,
    "nncase": nncase.KNOBS,
    "SiMa": sima.KNOBS,
}
BY_NAME: dict[str, Knob] = {knob.name: knob for knobs in KNOBS.values() for knob in knobs}


class Names(kneron.Names, nncase.Names, sima.Names):
    """What may stand under `quantize:` in a vendor's spelling."""
