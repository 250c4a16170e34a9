"""What to do where a fixed-point model is too far from the float one: the likeliest cause first."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METHODS = (
    "output_error",
    "mse",
    "percentile",
    "entropy",
    "minmax",
)  # in the order in which they are worth it
WIDE, AUTO = "int16", "auto"
LEAST_GAIN_DB = 0.05  # of a layer that is worth naming
MOST_NAMED = 5
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NARROW = ("int4", "int8", "uint8")


@dataclass(frozen=True)
class Facts:
    """`removed`: what was cut off the model. `quantize` is quantize.json; {} where there is none."""

    quantize: Mapping[str, Any]
    removed: bool = False
    has_int16: bool = True


@dataclass(frozen=True)
class Named:
    """A layer and what it is predicted to win; `setting` stands by its name below `section` of
    `quantize:`."""

    name: str
    gain_db: float
    section: str  # nodes
    setting: str  # {activations: int16}


def steps(facts: Facts, missing_db: float | None = None) -> list[str]:
    """In the order in which they should be tried; `missing_db` is what the worst output lacks."""
    samples = facts.quantize.get("samples")
    method = str(facts.quantize.get("method", METHODS[0]))
    others = [name for name in METHODS if name != method]
    now = f"; the ranges are from {samples} samples" if samples else ""
    removed = "" if facts.removed else " (nothing was cut off here; perhaps of the source)"
    return [
        f"more calibration samples like the field's{now}",
        f"is the removed tail in the post-processing?{removed}",
        f"another range method: `quantize: {{range: {{method: {others[0]}}}}}`, or {', '.join(others[1:])}; "
        f"now it is {method}",
        _wider(facts, missing_db),
    ]


def text(listed: Sequence[str], indent: int = 7) -> str:
    """As one text; usually the advice of an error, whose further lines stand below its first."""
    margin = " " * indent
    lines = [f"{number}. {step}" for number, step in enumerate(listed, 1)]
    return "\n".join(["in this order:", *(margin + line.replace("\n", f"\n{margin}") for line in lines)])


def worst(sensitivity: Mapping[str, Any], missing_db: float | None) -> list[Named]:
    """The layers that win most in 16 bits: those predicted to make up for `missing_db`, at most five."""
    found: list[Named] = []
    for node in sensitivity.get("nodes", ()):
        enough = missing_db is not None and together(found) >= missing_db
        if enough or len(found) == MOST_NAMED or node["gain_db"] < LEAST_GAIN_DB:
            break
        formats = [f"{key}: {WIDE}" for key in ("activations", "weights") if node[key] in _NARROW]
        if formats:
            of_node = ("nodes", f"{{{', '.join(formats)}}}")
            found.append(Named(node["node"], node["gain_db"], *(of_node if node["op"] else ("inputs", WIDE))))
    return found


def together(named: Sequence[Named]) -> float:
    """dB that they win together: shares of the noise add up."""
    left = 1.0 - sum(1.0 - 10.0 ** (-each.gain_db / 10.0) for each in named)
    return round(-10.0 * math.log10(max(left, 1e-9)), 1)


def _key(name: str) -> str:
    """A name as a key of YAML, also between braces."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _wider(facts: Facts, missing_db: float | None) -> str:
    if not facts.has_int16:
        return f"{WIDE} for the worst layers: this chip has none"
    sensitivity = facts.quantize.get("sensitivity")
    if not sensitivity:
        return f"{WIDE} for the worst layers: quantize without `record:` to see which they are"
    named = worst(sensitivity, missing_db)
    if not named:
        return f"{WIDE} for the worst layers: none of them alone would win anything"
    many = f"the {len(named)} worst layers" if len(named) > 1 else "the worst layer"
    won = f"{together(named):.1f} dB{' together' if len(named) > 1 else ''}"
    chosen = facts.quantize.get("mode") == AUTO
    lacking = missing_db is not None and together(named) < missing_db
    other = "use `mode: auto`" if lacking else "or `mode: auto`"
    if chosen:
        other = "`mode: auto` has held the bound on the calibration samples"
    head = (
        f"{WIDE} for {many}, predicted to win {won} on the calibration samples{_enough(named, missing_db)} "
    )
    return f"{head}({other}):\n{block(named)}"


def _enough(named: Sequence[Named], missing_db: float | None) -> str:
    """Whether that makes up for what is missing; of the evaluation samples nothing is predicted."""
    if missing_db is None:
        return ""
    if together(named) >= missing_db:
        return f", {missing_db:.1f} dB are missing"
    return f", which is not enough: {missing_db:.1f} dB are missing"


def block(named: Sequence[Named]) -> str:
    """YAML for the manifest, to be put below the model as it is."""
    lines = ["quantize:"]
    for section in ("nodes", "inputs"):
        own = [each for each in named if each.section == section]
        lines += [f"  {section}:"] if own else []
        lines += [f"    {_key(each.name)}: {each.setting}  # +{each.gain_db:.1f} dB" for each in own]
    return "\n".join(lines)
