"""The codes of findings: docs/checks.md has a section for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Code:
    """What a finding of this code says, and how grave it is at most. `stops`: nothing can be built before it
    is mended, so that it cannot be ignored. `sometimes`: only some ways to check can find it. `told`:
    builds tell it as well as `check`."""

    title: str
    severity: Severity
    stops: bool = False
    sometimes: bool = False
    told: bool = False


def _error(title: str) -> Code:
    return Code(title, "error", stops=True)


def _samples(title: str) -> Code:
    """Of what samples and measurements tell: not every `check` gets to see them."""
    return Code(title, "warning", sometimes=True, told=True)


CODES: dict[str, Code] = {
    "MB001": Code("the id of a model is reserved", "warning"),
    "MB002": Code("an id that is not used", "warning"),
    "MB003": Code("there are no packages", "warning"),
    "MB004": Code("a model or a target that no package asks for", "warning"),
    "MB005": Code("samples both calibrate and evaluate a model", "warning"),
    "MB006": Code("files of a sample set that are not staged", "warning", sometimes=True),
    "MB007": Code("a source that was never fetched", "warning", sometimes=True),
    "MB008": Code("an entry of `checks.ignore` that matches nothing", "warning"),
    "MB009": _error("the manifest, or what is asked of it, is wrong"),
    "MB010": Code("a setting of a target that every model on it has of its own", "warning"),
    "MB011": Code("a vendor's name of an option of compiling", "note"),
    "MB012": Code("a key of an encrypted package that is not there", "warning", sometimes=True),
    "MB013": Code("a key that is too short to be safe", "warning"),
    "MB100": _error("the model, or what it is given, cannot be used"),
    "MB101": _error("no unit of the chip runs the operator"),
    "MB102": _error("the operator is known, but not in this form"),
    "MB103": Code("the operator runs on the CPU, since the NPU does not have it", "warning"),
    "MB104": Code("the node runs on the CPU, since it breaks a rule of the NPU", "warning"),
    "MB105": _error("the chip runs it, but the arithmetic does not define it"),
    "MB106": _error("the model has more inputs than the package format holds"),
    "MB107": _error("the parameters alone exceed the memory of the chip"),
    "MB108": _error("an output is a constant"),
    "MB109": Code("one edition of the toolchain alone runs the node there", "warning"),
    "MB110": Code("nothing compiles for the chip yet", "warning", stops=True),
    "MB111": Code("`tail: auto` takes nodes off the chip", "warning"),
    "MB112": Code("names of a scheme that have no effect", "warning", told=True),
    "MB113": Code("the weights are all alike", "warning"),
    "MB114": _samples("a node stands in the way of the batch"),
    "MB115": _samples("deep tiling is not taken"),
    "MB116": Code("the program counts otherwise than was predicted", "note", sometimes=True, told=True),
    "MB117": _error("the smallest step of a layer exceeds the memory on the chip"),
    "MB118": Code(
        "maps go to main memory and back between layers of the KPU", "note", sometimes=True, told=True
    ),
    "MB119": _error("the model exceeds the general RAM of the chip"),
    "MB120": _error("the compiler refuses a node, or the model as a whole"),
    "MB201": _samples("too few calibration samples"),
    "MB202": _samples("calibration samples that are there more than once"),
    "MB203": _samples("calibration samples that look like noise"),
    "MB204": _samples("calibration values outside of what the model expects"),
    "MB205": _samples("normalisation, layout or order of colours is probably wrong"),
    "MB206": _samples("calibration samples of one class alone"),
    "MB207": _samples("calibration samples without content"),
    "MB301": _samples("an output that does not change any more"),
    "MB302": _samples("channels that are lost to rounding"),
    "MB303": _samples("a tensor that is clipped"),
    "MB304": _samples("one layer's error explains the loss"),
    "MB305": _samples("the float model gets none of the labelled samples right"),
    "MB306": _samples("a bound on speed is judged on 8 bits, and the model has 16"),
}


def covers(entry: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    """Whether the entry (canonical) is about the finding (its JSON form)."""
    if entry["code"] != finding["code"]:
        return False
    pattern, node = entry["node"], finding.get("node") or ""
    return pattern is None or pattern == node or fnmatchcase(node, pattern)
