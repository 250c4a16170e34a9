"""Nodes and times beside onnxsim and onnxslim: `python -m bench.graphs --models DIR --models DIR`.

Prints the table of docs/benchmarks.md. The two are installed into a scratch environment and run as processes
of their own; a time is that of the rewriting alone, without imports of Python and reading of the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from bench import machine
from bench.compare import say
from bench.table import milliseconds, table
from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise

PEERS = {"onnxsim": "0.8.1", "onnxslim": "0.1.98"}
# What a peer runs: the number of nodes before and after, and seconds, as JSON.
_RUN = {
    "onnxsim": "import onnxsim\nafter, ok = onnxsim.simplify(model, overwrite_input_shapes=shapes or None)",
    "onnxslim": (
        "import onnxslim\n"
        "given = [f\"{name}:{','.join(map(str, shape))}\" for name, shape in shapes.items()]\n"
        "after = onnxslim.slim(model, input_shapes=given or None)"
    ),
}
_PROGRAM = """\
import json, sys, time
import onnx
{imports}
model, shapes = onnx.load(sys.argv[1]), json.loads(sys.argv[2])
began = time.perf_counter()
{call}
print(json.dumps({{"nodes": len(after.graph.node), "seconds": time.perf_counter() - began}}))
"""
_LONGEST = 300  # seconds
# Of models with open dimensions: model -> input -> shape.
SHAPES: dict[str, dict[str, list[int]]] = {
    "mlperf_resnet8": {"input_1": [1, 3, 32, 32]},
    "mlperf_vww_96": {"input_1": [1, 3, 96, 96]},
    "ppocr_cls_v2": {"x": [1, 3, 48, 192]},
    "st_mobilenet_v2_128_05": {"input_1:0": [1, 3, 128, 128]},
    "yunet_n_dynamic": {"input": [1, 3, 320, 320]},
}


@dataclass(frozen=True)
class Result:
    """Nodes that are left and the seconds it took; or why there are none."""

    nodes: int | None
    seconds: float | None
    reason: str = ""

    def cells(self) -> list[str]:
        """Two cells of the table."""
        if self.nodes is None or self.seconds is None:
            return [self.reason, ""]
        return [f"{self.nodes:,}", milliseconds(self.seconds)]


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if a model has more nodes than a peer leaves."""
    options = _options(words)
    scratch = Path(options.scratch or tempfile.mkdtemp(prefix="bench-"))
    names = [] if options.no_peers else [name for name in PEERS if _installed(scratch, name)]
    models = sorted(path for folder in options.models for path in Path(folder).glob("*.onnx"))
    rows, worse = [], []
    for path in models:
        say(path.name)
        row, best, own = _row(path, scratch, names)
        rows.append(row)
        if best is not None and own is not None and own > best:
            worse.append(path.stem)
    head = [
        "model",
        "nodes",
        "modelbuild",
        "ms",
        "with guard, ms",
        *(x for name in names for x in (name, "ms")),
    ]
    lines = ["```text", *machine.describe(), *(f"{name} {PEERS[name]}" for name in names), "```", ""]
    text = "\n".join([*lines, *table(head, rows), *(f"\nmore nodes than a peer: {name}" for name in worse)])
    print(text)
    if options.output:
        Path(options.output).write_text(text + "\n", encoding="utf-8")
    return 1 if worse else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.graphs", description=__doc__)
    parser.add_argument(
        "--models", action="append", required=True, metavar="DIR", help="a folder of .onnx files"
    )
    parser.add_argument("--no-peers", action="store_true", help="modelbuild alone")
    parser.add_argument("--scratch", metavar="DIR", help="keep the installed peers there for another run")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def _installed(scratch: Path, name: str) -> bool:
    """Whether the peer is in the scratch environment, put there first if need be."""
    folder = scratch / "peers"
    if not (folder / "bin/pip").exists():
        venv.create(folder, with_pip=True)
    words = [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*words, f"{name}=={PEERS[name]}", "onnxruntime"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(f"{name} could not be installed")
    return done.returncode == 0


def _row(path: Path, scratch: Path, names: Sequence[str]) -> tuple[list[str], int | None, int | None]:
    """The cells, the fewest nodes of a peer, and ours."""
    shapes = SHAPES.get(path.stem, {})
    before = len(onnx.load(str(path), load_external_data=False).graph.node)
    own, guarded = ours(path, shapes)
    peers = [_peer(scratch, name, path, shapes) for name in names]
    counts = [peer.nodes for peer in peers if peer.nodes is not None]
    checked = "" if guarded is None else milliseconds(guarded)
    cells = [
        path.stem,
        f"{before:,}",
        *own.cells(),
        checked,
        *(cell for peer in peers for cell in peer.cells()),
    ]
    return cells, min(counts, default=None), own.nodes


def ours(path: Path, shapes: dict[str, list[int]]) -> tuple[Result, float | None]:
    """What import and normalising leave, and the seconds with the guard at the end."""
    began = time.perf_counter()
    try:
        graph = importers.load(path, {name: tuple(shape) for name, shape in shapes.items()})
    except ModelbuildError:
        return Result(None, None, "refused"), None
    result, _ = normalise(graph)
    took = time.perf_counter() - began
    guard.check(graph, result)
    return Result(len(result.nodes), took), time.perf_counter() - began


def _peer(scratch: Path, name: str, path: Path, shapes: dict[str, list[int]]) -> Result:
    imports, _, call = _RUN[name].partition("\n")
    program = _PROGRAM.format(imports=imports, call=call)
    words = [str(scratch / "peers/bin/python"), "-c", program, str(path), json.dumps(shapes)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        return Result(None, None, "too long")
    if done.returncode:
        return Result(None, None, "fails")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Result(found["nodes"], found["seconds"])


if __name__ == "__main__":
    sys.exit(main())
