"""One model file -> one ONNX file, without a manifest: import, edits, the passes, each held to the source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, onnx_io
from modelbuild.graph.check import place
from modelbuild.graph.edits.tail import POST, split
from modelbuild.graph.guard import Difference
from modelbuild.graph.model import Graph, Shape
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import PassResult, run_passes
from modelbuild.graph.rewrite import copied
from modelbuild.importers.source import source_of
from modelbuild.manifest.edits import TAIL
from modelbuild.manifest.model import FIXED_SUFFIX
from modelbuild.project.edit_file import Edit, checked
from modelbuild.project.open_inputs import explained

# How every ONNX file of modelbuild's begins: IR version 10, producer_name "modelbuild".
OURS = b"\x08\x0a\x12\x0amodelbuild"


@dataclass(frozen=True)
class Step:
    """What one step did: nodes before and after, the passes that acted and how often, and how far its result
    is from what it was held against (None: it could not be held against that; edits are against nothing)."""

    name: str
    nodes_before: int
    nodes_after: int
    passes: Mapping[str, int]
    difference: Difference | None
    against: str
    by_codes: bool = False  # held against a quantized file in steps of its codes, which are no range

    def to_json(self) -> dict[str, Any]:
        """An item of `steps` in the object of `convert --json`."""
        return {
            "name": self.name,
            "nodes_before": self.nodes_before,
            "nodes_after": self.nodes_after,
            "passes": [{"name": name, "changes": count} for name, count in self.passes.items()],
            "difference": None if self.difference is None else self.difference.to_json(),
            "against": self.against,
            "by_codes": self.by_codes,
        }


@dataclass(frozen=True)
class Written:
    """A file that was written: its digest, its size in bytes with that of `data`, the model's borders."""

    path: Path
    size: int
    sha256: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]
    data: tuple[Path, ...] = ()  # the file of its weights, where they are more than 2 GB

    def to_json(self) -> dict[str, Any]:
        """The objects `model` and `post` of `convert --json`."""
        return {
            "path": str(self.path),
            "data": [str(path) for path in self.data],
            "size": self.size,
            "sha256": self.sha256,
            "inputs": [dict(port) for port in self.inputs],
            "outputs": [dict(port) for port in self.outputs],
        }


@dataclass(frozen=True)
class ConvertResult:
    """What was read, what each step did, and what was written. `units` counts the nodes of each unit of the
    chip, where one was named."""

    source: Mapping[str, Any]
    steps: tuple[Step, ...]
    model: Written
    post: Written | None = None
    units: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of `convert --json`."""
        return {
            "ok": True,
            "source": dict(self.source),
            "steps": [step.to_json() for step in self.steps],
            "model": self.model.to_json(),
            "post": None if self.post is None else self.post.to_json(),
            "units": None if self.units is None else dict(self.units),
        }


def convert(
    source: Path,
    out: Path,
    *,
    weights: Path | None = None,
    shapes: Mapping[str, Shape] | None = None,
    edits: Sequence[Edit] = (),
    chip: str | None = None,
    only_import: bool = False,
    paranoid: bool = False,
    force: bool = False,
    directory: Path | None = None,
) -> ConvertResult:
    """Writes `source` as ONNX of opset 17 to `out`: imported, after `edits`, normalised, and with a `chip`
    after its recipe's passes; with `only_import` as imported and edited.

    `shapes` fixes open inputs; `paranoid` runs the guard after each pass. A recipe's path is relative to
    `directory`. Raises ModelbuildError for everything that is wrong with the request or the model (exit 2),
    and for a step that changes what the model computes (exit 1); `out` is then as it was."""
    recipe = None if chip is None else load_recipe(chip, directory or Path.cwd())
    wanted = checked(edits, "edit") if edits else []
    tail = TAIL in wanted
    post = out.with_name(f"{out.stem}{POST}{out.suffix}")
    if only_import and paranoid:
        raise ModelbuildError(
            "--only-import runs no pass that --paranoid could look at", advice="leave one of them out"
        )
    _check_request(source, out, weights, recipe, only_import)
    if tail and recipe is None:
        raise ModelbuildError(
            "`tail: auto` needs a chip",
            why="what is cut off is what the chip does not run",
            advice="name it: --chip kl720",
        )
    for path in (out, post) if tail else (out,):
        _check_place(path, (source, weights), force)
    asked = [edit for edit in wanted if edit != TAIL]
    imported, steps = _imported(source, weights, shapes or {}, asked)
    graph, rest = imported, None
    if not only_import:
        graph, rows = normalise(imported, paranoid=paranoid)
        steps.append(_step("normalise", imported, graph, imported, rows))
    if recipe is not None:
        before = graph
        graph, rows = run_passes(graph, recipe.passes, paranoid)
        steps.append(_step("lower", before, graph, imported, rows))
        if tail:
            graph, rest, step = _parted(graph, recipe, imported)
            steps.append(step)
    parts = [(out, graph), *([] if rest is None else [(post, rest)])]
    written = [_written(path, part) for path, part in parts]
    units = None if recipe is None else _units(graph, recipe)
    return ConvertResult(
        source_of(imported), tuple(steps), written[0], written[1] if rest is not None else None, units
    )


def _imported(
    source: Path, weights: Path | None, shapes: Mapping[str, Shape], edits: Sequence[Edit]
) -> tuple[Graph, list[Step]]:
    """The model after the edits. Whole it is held against the file, if it can be imported whole: edits may
    take away what cannot, and change inputs that shapes are given for."""
    try:
        graph = importers.load(source, shapes, edits, weights)
    except ModelbuildError as error:
        raise explained(error, source, shapes) from None
    try:
        whole = importers.load(source, shapes, (), weights) if edits else graph
    except ModelbuildError:
        return graph, [_step_of_import("import, edit", graph, None)]
    steps = [_step_of_import("import", whole, importers.check(source, whole))]
    if edits:
        steps.append(Step("edit", len(whole.nodes), len(graph.nodes), {}, None, ""))
    return graph, steps


def _step_of_import(name: str, graph: Graph, difference: Difference | None) -> Step:
    facts = source_of(graph)
    by_codes = name == "import" and facts["format"] == "onnx" and bool(facts.get("quantized"))
    return Step(name, facts["nodes"], len(graph.nodes), {}, difference, "the file", by_codes)


def _step(name: str, before: Graph, after: Graph, held_to: Graph, rows: Sequence[PassResult]) -> Step:
    difference = guard.check(held_to, after, what=name)
    acted: dict[str, int] = {}
    for row in rows:
        if row.changes:
            acted[row.name] = acted.get(row.name, 0) + row.changes
    return Step(name, len(before.nodes), len(after.nodes), acted, difference, "the imported model")


def _parted(graph: Graph, recipe: Recipe, imported: Graph) -> tuple[Graph, Graph | None, Step]:
    """The part on the chip and the part after it (None: the chip runs everything), held to the source
    together."""
    found = split(graph, recipe)
    whole = copied(graph)
    whole.nodes = [*found.chip.nodes, *found.post.nodes]
    difference = guard.check(imported, whole, what="cutting off the tail")
    count = len(found.chip.nodes)
    step = Step("tail", len(graph.nodes), count, {}, difference, "the imported model, with the part after")
    return found.chip, found.post if found.post.nodes else None, step


def _units(graph: Graph, recipe: Recipe) -> dict[str, int]:
    placed = list(place(graph, recipe).units.values())
    return {unit: placed.count(unit) for unit in sorted(set(placed))}


def _written(path: Path, graph: Graph) -> Written:
    """What `path` holds once `graph` is in it; weights beyond 2 GB lie in a file beside it."""
    files = onnx_io.export(graph, path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    inputs, outputs = (tuple(_port(graph, name) for name in names) for names in (graph.inputs, graph.outputs))
    size = sum(file.stat().st_size for file in files)
    return Written(path, size, digest, inputs, outputs, tuple(files[1:]))


def _port(graph: Graph, name: str) -> dict[str, Any]:
    return {"name": name, "shape": list(graph.shapes[name]), "dtype": str(graph.dtypes[name])}


def _check_request(
    source: Path, out: Path, weights: Path | None, recipe: Recipe | None, only_import: bool
) -> None:
    """Refuses what could not end well before any work is done."""
    if only_import and recipe is not None:
        raise ModelbuildError(
            "--only-import and --chip contradict each other",
            why="a chip's passes come after the import",
            advice="leave one of them out",
        )
    if source.name.lower().endswith(FIXED_SUFFIX):
        raise ModelbuildError(
            f"{source.name} is imported and quantized already",
            advice="`modelbuild inspect` shows it; convert the float model that it was made from",
        )
    importers.check_weights(importers.importer_for(source), weights)
    if out.suffix.lower() != ".onnx" or out.name.lower().endswith(FIXED_SUFFIX):
        raise ModelbuildError(
            f"-o {out.name} is no name for what is written",
            why="a float model, as ONNX",
            advice=f"write -o {out.name.split('.')[0] or 'model'}.onnx",
        )


def _check_place(out: Path, inputs: Sequence[Path | None], force: bool) -> None:
    """Refuses to write over what is read, or over what may be the only copy of somebody's model."""
    if not out.parent.is_dir():
        raise ModelbuildError(f"there is no folder {out.parent}", where=f"-o {out}")
    for read in inputs:
        if read is not None and read.exists() and out.exists() and read.samefile(out):
            raise ModelbuildError(
                f"-o {out.name} is the file that is read",
                where=str(out),
                why="the source would be lost",
                advice=f"name another file: -o {out.stem}.converted.onnx",
            )
    if force or not out.exists():
        return
    try:
        if out.is_dir():
            raise ModelbuildError(f"-o {out.name} is a folder", where=str(out), advice="name a file in it")
        with out.open("rb") as stream:
            head = stream.read(len(OURS))
    except OSError as error:
        raise ModelbuildError(
            f"-o {out.name} cannot be read", where=str(out), why=error.strerror or str(error)
        ) from None
    if head and head != OURS:
        raise ModelbuildError(
            f"-o would overwrite a file that modelbuild has not written: {out.name}",
            where=str(out),
            advice="name another file, or add --force to replace it",
        )
