"""Programs on the simulator beside the exact integers: `python -m bench.hardware --models DIR`.

For each model of the folder, chip and size of SRAM (a chip's own, an eighth and a 64th of it, and the least
with which the model compiles) the program runs on random inputs: all outputs and, on the first input, all
layers must be equal in every bit, and the cycles as many as the compiler said. Prints the table of
docs/benchmarks.md; the two take turns in one process, and times are CPU time of one thread. `--results` keeps
what is measured, for another run to go on from. Ends with 1 where a bit or a cycle differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine
from bench.compare import say
from bench.digest import digest, files
from bench.models import fixed_model
from bench.results import Results
from bench.simulated import LEAST, Measured, measured
from bench.table import milliseconds, ratio, table
from bench.tools import ROOT
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError

CHIPS = ("kl520", "kl720", "kl730", "modalix")
WHOLE = "1"
PARTS = (WHOLE, "1/8", "1/64", LEAST)  # of the chip's SRAM
INPUTS = 4
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SOURCES = tuple(ROOT / name for name in ("modelbuild", "recipes", "bench/models.py", "bench/simulated.py"))


# (model, chip) -> part of the SRAM -> what came of it
Found = Mapping[tuple[str, str], Mapping[str, Measured]]


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if anything differs, or a ratio is larger than allowed."""
    options = _options(words)
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, "-m", "bench.hardware", *(words or sys.argv[1:])])
    results = Results(options.results)
    sources = digest(files(SOURCES))
    found: dict[tuple[str, str], dict[str, Measured]] = {}
    for name in options.names or sorted(path.stem for path in options.models.glob("*.onnx")):
        path = options.models / f"{name}.onnx"
        key = partial(_key, sources, digest([path]), options.inputs, options.runs)
        for chip in options.chips:
            found[name, chip] = dict(_of_chip(path, chip, options, results, partial(key, chip)))
    text = "\n".join(["```text", *machine.describe(), "```", "", *_shown(found, options.sram)]) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return int(not _is_well(found, options.most))


def _is_well(found: Found, most: float) -> bool:
    """Whether there are programs, none is wrong, and none takes too long with all SRAM."""
    compiled = [parts for parts in found.values() if any(not it.refused for it in parts.values())]
    whole = [parts[WHOLE] for parts in compiled if WHOLE in parts]
    wrong = any(it.wrong for parts in compiled for it in parts.values())
    return bool(compiled) and not wrong and not any(it.simulator > most * it.fixed for it in whole)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hardware", description=__doc__)
    parser.add_argument("--models", required=True, type=Path, metavar="DIR", help="folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument(
        "--sram", nargs="+", default=PARTS, metavar="PART", help=f"of the chip's SRAM, or {LEAST}"
    )
    parser.add_argument("--inputs", type=int, default=INPUTS, help="random ones")
    parser.add_argument("--runs", type=int, default=1, help="of each input")
    parser.add_argument(
        "--most", type=float, default=math.inf, help="the largest ratio of times allowed with all SRAM"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep rows there, take what is there")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def _key(*about: object) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _of_chip(
    path: Path, chip: str, options: argparse.Namespace, results: Results, key: Callable[[str], str]
) -> Iterator[tuple[str, Measured]]:
    """Parts of the SRAM and what came of them; the model is quantized once, and only if something is left."""
    left = [part for part in options.sram if results.get(key(part)) is None]
    if left:
        recipe = load_recipe(chip)
        try:
            model = fixed_model(path, recipe)
        except ModelbuildError as error:
            say(f"{path.stem} does not compile for {chip}")
            yield from ((part, Measured(refused=error.problems[0].what)) for part in options.sram)
            return
        for part in left:
            row = measured(model, recipe, part, options.inputs, options.runs)
            results.keep(key(part), dataclasses.asdict(row))
            say(", ".join([path.stem, chip, part, *_of_part(row), row.wrong]))
    for part in options.sram:
        yield part, _row(results.get(key(part)))


def _row(kept: Mapping[str, Any]) -> Measured:
    return Measured(**{**kept, "differs": tuple(kept["differs"])})


def _shown(found: Found, parts: Sequence[str]) -> list[str]:
    """The table, how much is equal, and what does not compile."""
    head = ["model", "chip", "layers seen", "simulator, ms", "fixed, ms"]
    for part in parts:
        head += [f"{part}: KB", "instructions", "cycles", "ratio"]
    refused: dict[tuple[str, str], list[str]] = {}
    rows = []
    for (name, chip), of_parts in found.items():
        programs = [it for it in of_parts.values() if not it.refused]
        if programs:
            rows.append((name, chip, *_about(programs), *_cells(of_parts), _equal(of_parts)))
        else:
            refused.setdefault((name, next(iter(of_parts.values())).refused), []).append(chip)
    every = [it for of_parts in found.values() for it in of_parts.values() if not it.refused]
    equal = sum(not it.wrong for it in every)
    lines = [*table([*head, "equal"], rows), "", f"{equal} of {len(every)} programs are equal in every bit."]
    lines += [f"{name} does not compile for {', '.join(on)}: {why}" for (name, why), on in refused.items()]
    return lines


def _of_part(it: Measured) -> tuple[str, ...]:
    """What a size of SRAM has of its own: KB, instructions, cycles, ratio of times."""
    if it.refused:
        return ("",) * 4
    return f"{it.sram / 1024:,.5g}", f"{it.instructions:,}", f"{it.cycles:,}", ratio(it.simulator, it.fixed)


def _about(programs: Sequence[Measured]) -> tuple[str, ...]:
    """The most layers that were seen, and the times of the first."""
    seen = max(it.seen for it in programs)
    first = programs[0]
    return f"{seen} of {first.layers}", milliseconds(first.simulator), milliseconds(first.fixed)


def _cells(of_parts: Mapping[str, Measured]) -> list[str]:
    return [cell for it in of_parts.values() for cell in _of_part(it)]


def _equal(of_parts: Mapping[str, Measured]) -> str:
    wrong = [f"{part}: {it.wrong}" for part, it in of_parts.items() if it.wrong]
    return "; ".join(wrong) or "yes"


if __name__ == "__main__":
    sys.exit(main())
