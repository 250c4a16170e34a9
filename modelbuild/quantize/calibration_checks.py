"""What is probably wrong with calibration samples: findings MB201 to MB207 of docs/checks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.check import Finding
from modelbuild.quantize.first_layers import (
    EQUAL,
    FAR,
    LARGEST,
    MISFIT,
    SMALLEST,
    STRANGE,
    TIMES,
    Fit,
)
from modelbuild.quantize.sample_counts import ADVISED, FEW
from modelbuild.samples.health import Copies, Look, SetLook, is_interleaved, pictures
from modelbuild.samples.labels import Label

NEAR_SHARE = 0.1  # of the samples, that may be nearly others
COLOURS, OFF = 0.75, 0.055  # how much nearer means have to be in the other order, and how far off in this one
ALIKE, SLIGHT = 2.0, 0.02  # times the least divergence, and added to it: no more cannot be told from it
SLACK = 0.05  # of a range, by which values may be outside of it
TINY = 1 / 16  # of a range, less than which is not what was declared
CLASSES = 10  # from which on samples of one class alone are no accident
Range = tuple[float, float]
Array = NDArray[np.generic]


@dataclass(frozen=True)
class Examined:
    """What was seen of a calibration set. `names` are the samples' files; `declared` the range that
    preprocessing gives an input that arrays feed, `trained` the one that a quantized source has for it.
    `fits` holds that of the samples as they are under "", of other normalisations by name, `swapped` that of
    the other order of colours; `layer` is the tensor that they are of. `predicted`: the class that the model
    sees in each of some samples, of `classes`. `blank`: the samples that `is_blank` says so of, from 0."""

    look: SetLook
    names: Sequence[str]
    labels: Sequence[Label] | None = None
    declared: Mapping[str, Range] = field(default_factory=dict)
    trained: Mapping[str, Range] = field(default_factory=dict)
    layer: str = ""
    fits: Mapping[str, Fit] = field(default_factory=dict)
    swapped: Fit | None = None
    predicted: Sequence[int] = ()
    classes: int = 0
    blank: Sequence[int] = ()


def is_blank(sample: Mapping[str, Array]) -> bool:
    """Whether each of its inputs of more than one value holds one value alone, a picture in each channel."""
    sizable = [values for values in sample.values() if values.size > 1]
    return bool(sizable) and all(map(_is_flat, sizable))


def _is_flat(values: Array) -> bool:
    planes = pictures(values.astype(np.float64))
    rows = values.reshape(1, -1) if planes is None else planes.reshape(len(planes), -1)
    return bool((rows == rows[:, :1]).all())


def findings(seen: Examined) -> list[Finding]:
    """Warnings, in the order of their codes. Samples without content tell nothing of how they were made."""
    found = [*_few(seen), *_copies(seen)]
    if not seen.blank or len(seen.blank) < seen.look.count:
        found += [*_noise(seen), *_values(seen), *_normalisation(seen), *_classes(seen)]
    found += _blank(seen)
    return [Finding(code, "warning", message, advice) for code, message, advice in found]


Told = Iterator[tuple[str, str, str]]  # code, message, advice
_MORE = (
    f"calibrate on {ADVISED} samples like those of the field: on photographs they win 1 to 3 dB of SNR over "
    f"{FEW} and fewer"
)


def _few(seen: Examined) -> Told:
    count = seen.look.count
    if count < FEW:
        what = f"{count} calibration sample{'' if count == 1 else 's'}"
        yield "MB201", f"{what}: too few to see the range of each tensor", _MORE


def _copies(seen: Examined) -> Told:
    count, exact = seen.look.count, seen.look.copies
    if exact:
        yield (
            "MB202",
            f"{len(exact)} of {count} calibration samples are copies of others: {_pair(seen, exact[0])}",
            "a sample that is there twice says nothing new: replace the copies by other samples",
        )
    known = {copy.sample for copy in exact}
    near = [copy for copy in seen.look.near_copies() if copy.sample not in known]
    if near and len(near) >= NEAR_SHARE * count:
        yield (
            "MB202",
            f"{len(near)} of {count} calibration samples are nearly others: {_pair(seen, near[0])}",
            "take samples of different scenes: pictures that follow each other in a film are one sample",
        )


def _pair(seen: Examined, copy: Copies) -> str:
    return f"`{seen.names[copy.sample]}` and `{seen.names[copy.earlier]}`"


def _blank(seen: Examined) -> Told:
    count = seen.look.count
    if seen.blank:
        hold = "holds" if len(seen.blank) == 1 else "hold"
        yield (
            "MB207",
            f"{len(seen.blank)} of {count} calibration sample{'' if count == 1 else 's'} {hold} one value "
            f"alone, in each channel if it is a picture: `{seen.names[seen.blank[0]]}`",
            "calibrate on samples like those of the field: ranges are those of the values that samples have",
        )


def _noise(seen: Examined) -> Told:
    for name, look in seen.look.inputs.items():
        count = seen.look.count
        noisy = look.noisy if 2 * len(look.noisy_cells) < count else sorted({*look.noisy, *look.noisy_cells})
        if noisy:
            yield (
                "MB203",
                f"{len(noisy)} of {count} calibration samples of `{name}` look like noise: neighbouring "
                f"values have nothing in common in `{seen.names[noisy[0]]}`",
                "ranges that are chosen on random numbers suit no picture: calibrate on real samples",
            )


def _values(seen: Examined) -> Told:
    for name, look in seen.look.inputs.items():
        for known, says in (
            (seen.declared.get(name), "the declared preprocessing gives"),
            (seen.trained.get(name), "the source was quantized for"),
        ):
            wrong = known is not None and _outside(look, known)
            if known is not None and wrong:
                yield (
                    "MB204",
                    f"the values of `{name}` go from {look.low:.4g} to {look.high:.4g}; {says} "
                    f"{known[0]:.4g} to {known[1]:.4g}",
                    "arrays are fed as they are: save them preprocessed as declared, or as pictures",
                )
                break
    own, best = seen.fits.get(""), _likely(seen)
    if own is not None and not best and (own.divergence or 0.0) > STRANGE:
        yield (
            "MB204",
            f"the first layer (`{seen.layer}`) sees what it did not see in training: its mean is off by "
            f"{own.shift:.2g} standard deviations, the divergence is {own.divergence:.2g}",
            "calibrate on samples like those that the model was trained on, preprocessed as there",
        )
    if own is not None and not best and own.ratio is not None and not SMALLEST <= own.ratio <= LARGEST:
        size = "large" if own.ratio > 1 else "small"
        yield (
            "MB204",
            f"the values are probably too {size}: the sums of the first layer (`{seen.layer}`) are "
            f"{own.ratio:.2g} times its biases",
            "see `scale`, `mean` and `std` of the preprocessing, and what range the arrays have",
        )


def _outside(look: Look, known: Range) -> bool:
    span = known[1] - known[0]
    over = look.low < known[0] - SLACK * span or look.high > known[1] + SLACK * span
    return over or 0 < look.high - look.low < TINY * span


def _normalisation(seen: Examined) -> Told:
    if is_interleaved(list(seen.look.inputs.values())):
        yield (
            "MB205",
            "the layout is probably wrong: every third value is the nearest, as in [height, width, channels] "
            "read as [channels, height, width]",
            "transpose the arrays, `x.transpose(2, 0, 1)`; a reshape leaves values where they are",
        )
    own, likely = seen.fits.get(""), _likely(seen)
    if own is not None and likely:
        equal = "" if len(likely) == 1 else f" (or {' or '.join(likely[1:])}, which fits about as well)"
        known = "" if len(likely) == 1 else "; of these the statistics tell the scale alone"
        yield (
            "MB205",
            f"the normalisation is probably wrong: with {likely[0]}{equal} the first layer (`{seen.layer}`) "
            f"has {_better(own, seen.fits[likely[0]])}",
            "declare `scale`, `mean` and `std` as the model was trained; `check` prints the resulting range"
            + known,
        )
    elif own is not None and seen.swapped is not None and _fits_better(seen.swapped, own):
        yield (
            "MB205",
            f"the order of colours is probably wrong: with red and blue exchanged the means of the first "
            f"layer (`{seen.layer}`) are off by {seen.swapped.shift:.2g} standard deviations of training "
            f"instead of {own.shift:.2g}",
            "declare `colour: bgr`, or `colour: rgb` if that is what is declared",
        )


def _likely(seen: Examined) -> list[str]:
    """The normalisations that fit far better than the declared one, which does not: the likeliest first, with
    those that cannot be told from it; none where the declared one may be right."""
    own = seen.fits.get("")
    others = {name: fit for name, fit in seen.fits.items() if name}
    if own is None or not others:
        return []
    ordered = sorted(others, key=lambda name: others[name].misfit)
    best = others[ordered[0]]
    if own.divergence is not None:
        least = min(fit.divergence or 0.0 for fit in others.values())
        if own.divergence <= FAR or least * TIMES >= own.divergence:
            return []
        return [name for name in ordered if (others[name].divergence or 0.0) <= ALIKE * least + SLIGHT]
    if own.ratio is None or own.misfit <= MISFIT or own.misfit <= best.misfit + EQUAL:
        return []
    if best.misfit > MISFIT:
        return []
    return [name for name in ordered if others[name].misfit <= best.misfit + EQUAL]


def _better(own: Fit, other: Fit) -> str:
    if own.ratio is not None:
        return (
            f"sums of {other.ratio:.2g} times its biases instead of {own.ratio:.2g} times, and means of "
            f"{other.offset:.2g} standard deviations instead of {own.offset:.2g}"
        )
    return (
        f"statistics far nearer to those of training (divergence {other.divergence:.2g} instead of "
        f"{own.divergence:.2g})"
    )


def _fits_better(swapped: Fit, own: Fit) -> bool:
    nearer = swapped.shift < COLOURS * own.shift and swapped.overall < own.overall
    return own.divergence is not None and own.shift > OFF and nearer


def _classes(seen: Examined) -> Told:
    labels = seen.labels or ()
    if len(labels) >= FEW and isinstance(labels[0], int) and all(label == labels[0] for label in labels):
        yield (
            "MB206",
            f"all {len(labels)} calibration samples are of the class {labels[0]}",
            "calibrate on samples of all classes, spread over the set",
        )
    elif len(seen.predicted) >= FEW and seen.classes >= CLASSES and len(set(seen.predicted)) == 1:
        yield (
            "MB206",
            f"the model sees the class {seen.predicted[0]} in {len(seen.predicted)} calibration samples of "
            f"{len(seen.predicted)}",
            "calibrate on samples of all classes; if they are, the preprocessing is not the model's",
        )
