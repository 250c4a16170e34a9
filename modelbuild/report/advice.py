"""What to do where a fixed-point model is too far from the float one: the likeliest cause first."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelbuild.quantize.goals import MARGIN_DB
from modelbuild.quantize.mixed_settings import AUTO, MOST_MARGIN_DB
from modelbuild.quantize.sample_counts import ADVISED, ENOUGH, FEW

METHODS = (
    "output_error",
    "mse",
    "percentile",
    "entropy",
    "minmax",
)  # in the order in which they are worth it
WIDE = "int16"
LEAST_GAIN_DB = 0.05  # of a layer that is worth naming
LEAST_FORESEEN = 0.01  # of the measured noise, less than which has other reasons than rounding
MOST_NAMED = 5
HIGHER_DB = 3  # half of the noise
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NARROW = ("int4", "int8", "uint8")


@dataclass(frozen=True)
class Facts:
    """`removed`: what was cut off the model. `quantize` and `fixed` are quantize.json and fixed.json; {}
    where there is none. `pair` is MODEL@TARGET, "" where it is not known. `blank`: so many of the calibration
    samples hold one value alone."""

    quantize: Mapping[str, Any]
    removed: bool = False
    has_int16: bool = True
    fixed: Mapping[str, Any] = field(default_factory=dict)
    pair: str = ""
    blank: int = 0


@dataclass(frozen=True)
class Lacking:
    """A bound on accuracy that does not hold. `missing_db`: by how much the noise at the outputs has to fall;
    None where nobody knows. `ahead_db`: how far it is below what the bound takes on calibration samples,
    `calibrated` what was measured on them; None where `mode: auto` did not measure it."""

    check: str
    measured: float
    missing_db: float | None = None
    calibrated: float | None = None
    ahead_db: float | None = None


@dataclass(frozen=True)
class Named:
    """A layer and what it alone is predicted to win; `setting` (`{activations: int16}`) stands by its name
    below `section` (nodes or inputs) of `quantize:`."""

    name: str
    gain_db: float
    section: str
    setting: str


def steps(facts: Facts, lacking: Sequence[Lacking] = ()) -> list[str]:
    """In the order in which they should be tried; `lacking`: what is to be mended, where that is known."""
    method = str(facts.quantize.get("method", METHODS[0]))
    others = [name for name in METHODS if name != method]
    removed = ["is the removed tail in the post-processing?"] if facts.removed else []
    values = ",".join((method, *others))
    tried = f"; `modelbuild sweep {facts.pair} --try quantize.range.method={values}` measures all"
    return [
        f"more calibration samples like the field's{_samples(facts)}",
        *removed,
        f"another range method: `quantize: {{range: {{method: {others[0]}}}}}`, or {', '.join(others[1:])}; "
        f"now it is {method}{tried if facts.pair else ''}",
        _wider(facts, lacking) if facts.has_int16 else _NARROW_STEP,
    ]


_NARROW_STEP = (
    "`quantize: {weights_range: mse}` or `{rounding: adaround}`, where they are not set; for a tensor that "
    "is clipped (MB303) `{ranges: {TENSOR: [LOW, HIGH]}}`"
)


def _samples(facts: Facts) -> str:
    count = facts.quantize.get("samples")
    if not count:
        return ""
    few = f", {ADVISED} are better" if count < ENOUGH else ""
    if count < FEW:
        few = f"; fewer than {FEW} do not show the range of each tensor{few}"
    return f"; the ranges are from {counted(count)}{_blank(facts)}{few}"


def _blank(facts: Facts) -> str:
    """What is told of samples without content."""
    if not facts.blank:
        return ""
    if facts.blank >= facts.quantize["samples"]:
        return ", which hold one value alone" if facts.blank > 1 else ", which holds one value alone"
    return f", of which {facts.blank} hold{'s' if facts.blank == 1 else ''} one value alone"


def counted(count: int, kind: str = "") -> str:
    """1 sample, 2 samples; with a `kind`, 2 evaluation samples."""
    return f"{count} {kind}{' ' if kind else ''}sample{'' if count == 1 else 's'}"


def text(listed: Sequence[str], indent: int = 7) -> str:
    """As one text; usually the advice of an error, whose further lines stand below its first."""
    margin = " " * indent
    lines = [f"{number}. {step}" for number, step in enumerate(listed, 1)]
    return "\n".join(["in this order:", *(margin + line.replace("\n", f"\n{margin}") for line in lines)])


def worst(facts: Facts, missing_db: float | None) -> list[Named]:
    """The layers that win most in 16 bits: those predicted to make up for `missing_db`, at most five."""
    found: list[Named] = []
    for node in (facts.quantize.get("sensitivity") or {}).get("nodes", ()):
        enough = missing_db is not None and _reached(facts, found) >= missing_db
        if enough or len(found) == MOST_NAMED or node["gain_db"] < LEAST_GAIN_DB:
            break
        formats = [f"{key}: {WIDE}" for key in ("activations", "weights") if node[key] in _NARROW]
        if formats:
            of_node = ("nodes", f"{{{', '.join(formats)}}}")
            found.append(Named(node["node"], node["gain_db"], *(of_node if node["op"] else ("inputs", WIDE))))
    return found


def together(named: Sequence[Named], part: float = 1.0) -> float:
    """dB that they win together: shares of the noise add up. `part`: so much of the noise is predicted."""
    left = 1.0 - part * sum(1.0 - 10.0 ** (-each.gain_db / 10.0) for each in named)
    return round(-10.0 * math.log10(max(left, 1e-9)), 1)


def on_evaluation(facts: Facts, named: Sequence[Named]) -> float | None:
    """dB that they win on the evaluation samples: of what is measured there, 16 bits take away as much as
    predicted; the rest, of values that calibration did not show, is taken to stay. None where no noise of
    the chip's outputs was measured."""
    share = foreseen(facts)
    return None if share is None else together(named, share)


def foreseen(facts: Facts) -> float | None:
    """The share of the noise measured on the evaluation samples that is predicted; None where either is not
    known of the chip's outputs."""
    predicted = (facts.quantize.get("sensitivity") or {}).get("predicted_snr_db")
    outputs = [each for each in facts.fixed.get("outputs", ()) if not each.get("after_chip")]
    if predicted is None or not outputs or all(each.get("snr_db") is None for each in outputs):
        return None
    noise = [0.0 if each.get("snr_db") is None else 10.0 ** (-each["snr_db"] / 10.0) for each in outputs]
    measured = sum(noise) / len(noise)
    share: float = 10.0 ** (-predicted / 10.0) / max(measured, 1e-20)
    return min(share, 1.0)


def _reached(facts: Facts, named: Sequence[Named]) -> float:
    found = on_evaluation(facts, named)
    return together(named) if found is None else found


def _key(name: str) -> str:
    """A name as a key of YAML, also between braces."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _wider(facts: Facts, lacking: Sequence[Lacking]) -> str:
    if not facts.quantize.get("sensitivity"):
        return f"{WIDE} for the worst layers: quantize without `record:` to see which they are"
    if unseen := _unseen(facts):
        return f"{WIDE} for the worst layers: {unseen}"
    missing_db = max((each.missing_db for each in lacking if each.missing_db is not None), default=None)
    named = worst(facts, missing_db)
    if facts.quantize.get("mode") == AUTO:
        return _with_auto(facts, lacking, named)
    if not named:
        return f"{WIDE} for the worst layers: none of them alone would win anything"
    enough = missing_db is None or _reached(facts, named) >= missing_db
    many = f"the {len(named)} worst layers" if len(named) > 1 else "the worst layer"
    won = f"{together(named):.1f} dB{' together' if len(named) > 1 else ''}"
    predicted = facts.quantize["sensitivity"].get("predicted_snr_db")
    of = "" if predicted is None else f" (to {predicted + together(named):.1f} dB)"
    other = f"{'or' if enough else 'use'} `mode: {AUTO}`"
    note = "; this is predicted, not measured: on other samples they may win less, or lose"
    if len(named) > 1:
        note += "; of the gains shares of the noise add up, not decibels"
    head = f"{WIDE} for {many}, predicted to win {won} on the calibration samples{of}"
    return f"{head}{_there(facts, named, missing_db, enough)} ({other}){note}:\n{block(named)}"


def _unseen(facts: Facts) -> str:
    """Why nobody can name them where the loss is of what calibration did not see."""
    if facts.blank and facts.blank >= facts.quantize.get("samples", 0):
        return "samples that hold one value alone do not tell which they are"
    share = foreseen(facts)
    if facts.quantize.get("mode") == AUTO or share is None or share >= LEAST_FORESEEN:
        return ""
    return (
        f"they would win nothing: of the noise measured on {_evaluated(facts)} less than "
        f"{LEAST_FORESEEN:.0%} is predicted from the calibration samples; the rest is of values that these "
        "do not show"
    )


def _there(facts: Facts, named: Sequence[Named], missing_db: float | None, enough: bool) -> str:
    """What that is on the evaluation samples, and whether it makes up for what is missing there."""
    won = on_evaluation(facts, named)
    on = "" if won is None else f", {won:.1f} dB of the noise measured on {_evaluated(facts)}"
    if missing_db is None:
        return on
    verdict = "" if enough else ": not enough"
    return f"{on}, where {missing_db:.1f} dB are missing{verdict}"


def _evaluated(facts: Facts) -> str:
    count = facts.fixed.get("samples")
    return f"the {counted(count, 'evaluation')}" if count else "the evaluation samples"


def _with_auto(facts: Facts, lacking: Sequence[Lacking], named: Sequence[Named]) -> str:
    """`auto` chooses anew in every build, so that nodes given by hand would take the place of its own."""
    listed = ", ".join(f"{each.name} (+{each.gain_db:.1f} dB)" for each in named) or "none wins anything"
    head = (
        f"{WIDE} for more layers, which `mode: {AUTO}` chooses; of those in 8 bits the worst, by predicted "
    )
    head += f"gain on the calibration samples: {listed}"
    auto = facts.quantize.get("auto") or {}
    number = auto.get("samples")
    on = f"on {counted(number, 'calibration')}" if number else "on the calibration samples"
    told = [
        f"{each.check} is {each.calibrated:.4g} {on}, {each.measured:.4g} on {_evaluated(facts)}"
        for each in lacking
        if each.calibrated is not None
    ]
    asked = _margin(lacking, float(auto.get("margin_db", MARGIN_DB))) or _bound(facts, lacking)
    return "\n".join([head, *told, *asked])


def _margin(lacking: Sequence[Lacking], now: float) -> list[str]:
    """What to keep in hand so that calibration samples show by as much more as evaluation falls behind."""
    apart = [
        each.missing_db + each.ahead_db
        for each in lacking
        if each.missing_db is not None and each.ahead_db is not None
    ]
    if not apart or max(apart) >= MOST_MARGIN_DB:
        return []
    margin = math.floor(max(*apart, now)) + 1
    return [
        "let it keep that difference in hand, and it makes more layers 16 bits wide:",
        "quantize:",
        f"  mode: {AUTO}",
        f"  margin_db: {margin}  # {now:g} now",
    ]


def _bound(facts: Facts, lacking: Sequence[Lacking]) -> list[str]:
    """A bound on outputs, for those whose distance nobody knows."""
    known = [each["snr_db"] for each in facts.fixed.get("outputs", ()) if each.get("snr_db") is not None]
    if not lacking or not known:
        return []
    return [
        f"a bound on the SNR as well (now {min(known):.1f} dB on {_evaluated(facts)}) makes it go on:",
        f"accept: {{snr_db: {math.ceil(min(known)) + HIGHER_DB}}}",
    ]


def block(named: Sequence[Named]) -> str:
    """YAML for the manifest, to be put below the model as it is."""
    lines = ["quantize:"]
    told: list[Named] = []
    for section in ("nodes", "inputs"):
        own = [each for each in named if each.section == section]
        lines += [f"  {section}:"] if own else []
        for each in own:
            told.append(each)
            sum_of = f"; with those above +{together(told):.1f} dB" if len(told) > 1 else ""
            lines.append(f"    {_key(each.name)}: {each.setting}  # +{each.gain_db:.1f} dB{sum_of}")
    return "\n".join(lines)
