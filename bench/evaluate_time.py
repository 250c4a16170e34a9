"""How long `modelbuild evaluate` takes, whole process: `python -m bench.evaluate_time --models DIR`.

A table of seconds, a row for each network: the medians of `--runs` runs, by the clock on the wall and, in
brackets, of processor time. Ends with 1 where the latter is longer than `--most` allows: on a machine with
other work the wall's says little. Prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import machine
from bench.compare import say
from bench.measure import Command, Run, run
from bench.table import table

REPOSITORY = Path(__file__).resolve().parent.parent
CHIPS = ("kl520", "kl720", "modalix")
MOST = 2.0  # seconds
LARGE = {"yolov5s": 3.0, "yolov5s_focus": 3.0, "centernet_res101": 3.0}


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if a network takes too long."""
    options = _options(words)
    rows, late = [], []
    for path in sorted(Path(options.models).glob("*.onnx")):
        if options.names and path.stem not in options.names:
            continue
        cells, worst = [], 0.0
        for chip in options.chips:
            say(f"{path.stem}, {chip}")
            runs = [_evaluate(path, chip, options.tiling) for _ in range(options.runs)]
            wall, processor = (median(getattr(it, name) for it in runs) for name in ("seconds", "processor"))
            cells.append(f"{wall:.2f} ({processor:.2f})")
            worst = max(worst, processor)
        most = options.most or LARGE.get(path.stem, MOST)
        rows.append((path.stem, *cells, f"{most:.1f}"))
        late += [path.stem] if worst > most else []
    head = ("network", *options.chips, "allowed")
    about = f"seconds by the clock (of the processor), median of {options.runs}, tiling {options.tiling}"
    lines = ["```text", *machine.describe(), about, "```", "", *table(head, rows), ""]
    lines += [f"{name} takes too long" for name in late]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(not rows or bool(late))


def _evaluate(path: Path, chip: str, tiling: str) -> Run:
    words = [sys.executable, "-m", "modelbuild", "evaluate", str(path.resolve()), "--chip", chip]
    return run(Command([*words, "--tiling", tiling], REPOSITORY, {"OMP_NUM_THREADS": "1"}))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate_time", description=__doc__)
    parser.add_argument("--models", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument("--tiling", default="default")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=float, metavar="SECONDS", help="allowed, in place of 2 and 3")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
