"""`modelbuild compare`: how far one model's outputs are from another's."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.artifacts.comparing import Comparison
from modelbuild.artifacts.runner import Runner
from modelbuild.cli import console, keys, models
from modelbuild.errors import ModelbuildError
from modelbuild.project.forms import LEVELS, is_pair
from modelbuild.report.advice import text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("reference", metavar="FILE|MODEL@TARGET", help="what is held to be right")
    parser.add_argument(
        "candidate",
        metavar="FILE",
        nargs="?",
        help="what is compared with it; for MODEL@TARGET alone, its forms are",
    )
    models.add_arguments(parser, each=True)
    parser.add_argument("--levels", help="the two forms of MODEL@TARGET alone (float,fixed)")
    parser.add_argument("--layers", action="store_true", help="compare every tensor that both have")


def run(options: argparse.Namespace) -> int:
    """0 whether or not they are equal: `equal` in the result says."""
    reference, candidate = _runners(options)
    feeds = models.inputs(options, options.reference)
    named = next(filter(is_pair, _words(options)), options.reference)
    with models.postprocessing(options, named) as post:
        found = api.compare(
            reference, candidate, feeds, layers=options.layers, base=Path(options.directory), post=post
        )
    advice = _advice(options) if options.layers else []
    told = {"advice": advice} if advice else {}
    console.result(_text(found, advice), {**found.to_json(), **told})
    return 0


def _advice(options: argparse.Namespace) -> list[str]:
    """What to do where the fixed-point form of the one MODEL@TARGET that is named loses too much."""
    if options.candidate is not None or _levels(options.levels or "float,fixed")[0] != "float":
        return []
    return api.advice(api.open_project(options.directory, options.file), options.reference)


def _words(options: argparse.Namespace) -> list[str]:
    return [word for word in (options.reference, options.candidate) if word is not None]


def _runners(options: argparse.Namespace) -> tuple[Runner, Runner]:
    """Two files or pairs, or two forms of one pair. Refuses options that would have no effect."""
    words, levels = _words(options), _levels(options.levels or "float,fixed")
    if options.no_tail and not any(models.has_parts(options, word) for word in words):
        raise ModelbuildError(
            "--no-tail goes with MODEL@TARGET or a package",
            why="files are run as they are",
            advice="leave --no-tail out, or name MODEL@TARGET",
        )
    if len(words) == 1:
        if not is_pair(options.reference):
            raise ModelbuildError("compare with what?", advice="name a second file, or MODEL@TARGET")
        alone = _with_model(options, (options.model or [None])[0])
        first, second = (models.opened(alone, options.reference, level) for level in levels)
        return first, second
    if options.levels is not None:
        raise ModelbuildError(
            "--levels goes with MODEL@TARGET alone",
            why="two models are named to compare",
            advice="leave --levels out, or name one MODEL@TARGET",
        )
    chosen = _models(options, words)
    if options.weights is not None and not any(map(models.takes_weights, words)):
        raise ModelbuildError(
            "--weights is for a .prototxt or .keras file", why="neither file is one", advice="leave it out"
        )
    if options.preprocess and not any(models.takes_preprocessing(options, word) for word in words):
        raise ModelbuildError(
            "--preprocess is for a float model's file",
            why="both carry their own preprocessing",
            advice="leave it out",
        )
    if keys.given(options) and not any(models.is_sealed(options, word) for word in words):
        raise ModelbuildError(
            "keys are for an encrypted package", why="neither file is one", advice="leave them out"
        )
    first, second = (
        models.opened(_with_model(options, model), word, pick=True)
        for word, model in zip(words, chosen, strict=True)
    )
    return first, second


def _models(options: argparse.Namespace, words: Sequence[str]) -> list[str | None]:
    """What --model picks of each of two files: once for both, or once for each."""
    given = options.model
    packages = sum(models.is_package(options, word) for word in words)
    if given is None:
        return [None] * len(words)
    if not packages:
        raise ModelbuildError(
            "--model picks one model of a package", why="neither file is a package", advice="leave it out"
        )
    if len(given) > packages:
        raise ModelbuildError(
            f"--model is given {len(given)} times, and {packages} of the files are packages",
            advice="give it once for both, or once for each",
        )
    return [given[0], given[-1]]


def _with_model(options: argparse.Namespace, model: str | None) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options), "model": model})


def _levels(text: str) -> tuple[str, str]:
    parts = text.split(",")
    if len(parts) != 2 or not set(parts) <= set(LEVELS):
        raise ModelbuildError(
            f"--levels {text} is not two of {', '.join(LEVELS)}", advice="write --levels float,fixed"
        )
    return parts[0], parts[1]


def _text(found: Comparison, advice: Sequence[str] = ()) -> str:
    header = ("output", "SNR dB", "mean SNR dB", "cosine", "max abs")
    rows = [
        (
            console.short(item["name"]),
            _db(item["snr_db"]),
            _db(item["snr_db_mean"]),
            "n/a" if item["cosine"] is None else f"{item['cosine']:.6f}",
            f"{item['max_abs']:.6g}",
        )
        for item in found.outputs
    ]
    lines = [console.table(header, rows, right=(1, 2, 3, 4))]
    if found.layers:
        lines += _layers(found.layers)
    if found.post is not None:
        header = ("post", "SNR dB", "cosine", "max abs", "other shape")
        of_post = [
            (
                item["name"],
                "n/a" if item["cosine"] is None else _db(item["snr_db"]),
                "n/a" if item["cosine"] is None else f"{item['cosine']:.6f}",
                "n/a" if item["max_abs"] is None else f"{item['max_abs']:.6g}",
                str(item["unlike"]),
            )
            for item in found.post
        ]
        lines.append(console.table(header, of_post, right=(1, 2, 3, 4)))
    if advice:
        lines.append("where this is too little, " + text(advice, indent=2))
    lines += [f"note: {note}" for note in found.notes]
    lines.append("equal in every value" if found.equal else "not equal")
    return "\n".join(lines)


def _layers(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """By what each adds to the error itself; without that, by the error that has come together there."""
    known = [item for item in layers if item.get("own_snr_db") is not None]
    rest = [item for item in layers if item.get("own_snr_db") is None]
    lines = []
    if known:
        own = [
            (
                console.short(item["name"]),
                console.short(item["node"]),
                item["op"],
                _db(item["own_snr_db"]),
                _db(item["snr_db"]),
            )
            for item in sorted(known, key=lambda item: float(item["own_snr_db"]))
        ]
        table = console.table(("tensor", "node", "operator", "own SNR dB", "SNR dB"), own, right=(3, 4))
        lines.append("worst first, by the error of the layer itself:\n" + table)
    if rest:
        ranked = sorted(rest, key=lambda item: (item["snr_db"] is None, item["snr_db"] or 0.0))
        together = [(console.short(item["name"]), _db(item["snr_db"])) for item in ranked]
        lines.append("worst first:\n" + console.table(("tensor", "SNR dB"), together, right=(1,)))
    return lines


def _db(value: float | None) -> str:
    return "equal" if value is None else f"{value:.1f}"
