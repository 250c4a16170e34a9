"""A float model -> a kmodel of ours, as a process: `python -m bench.kpu.ours MODEL SAMPLES OUTPUT`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.graph import in_model
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.kpu.compiler import Compiled, compile_model
from modelbuild.kpu.lower import lower
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.refine import Wanted, refine
from modelbuild.quantize.refining import is_refined, is_rounded_by_size
from modelbuild.quantize.settings import Settings
from modelbuild.samples.preprocess import Preprocess

CHIP = "k210"


@dataclass(frozen=True)
class Made:
    """The exact integers, and the file that is made of them."""

    fixed: FixedModel
    compiled: Compiled


def fixed_model(
    path: Path, samples: Sequence[np.ndarray], inside: Mapping[str, Preprocess] | None = None
) -> FixedModel:
    """What all stages up to `apply` make of the file, with the defaults of a manifest; `inside` is the
    preprocessing that the model does. Errors: ModelbuildError."""
    recipe = load_recipe(CHIP)
    graph, _ = normalise(in_model.insert(importers.load(path), inside or {}))
    graph, _ = run_passes(graph, list(recipe.passes))
    placement = place(graph, recipe)
    given = [{graph.inputs[0]: sample} for sample in samples]
    observations, settings = observe(graph, given), Settings()
    record = quantize(graph, observations, settings, recipe.number_format)
    if is_refined(settings, record, graph):
        wanted = Wanted.by(settings, is_rounded_by_size(settings, graph, record.samples))
        formats = formats_of(recipe.number_format, settings)
        record = refine(graph, record, formats, wanted, observations, given)
    return lower(graph, placement.units, record, recipe)


def made(path: Path, samples: Sequence[np.ndarray], inside: Mapping[str, Preprocess] | None = None) -> Made:
    """The kmodel of the file, calibrated with the samples."""
    fixed = fixed_model(path, samples, inside)
    return Made(fixed, compile_model(fixed, load_recipe(CHIP), {}))


def main(words: Sequence[str]) -> int:
    """Writes the kmodel."""
    path, samples, output = words
    with np.load(samples) as given:
        arrays = [given[key] for key in given.files]
    found = made(Path(path), arrays)
    Path(output).write_bytes(found.compiled.kmodel)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
