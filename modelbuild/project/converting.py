"""One model file -> one ONNX file, without a manifest: import, edits, the passes, each held to the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.chips.pass_names import REQUIRED, base, for_recipe, named
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import guard
from modelbuild.graph.check import place
from modelbuild.graph.edits.tail import Split, split
from modelbuild.graph.guard import Difference
from modelbuild.graph.model import Graph, Shape
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import PassResult, run_passes
from modelbuild.graph.rewrite import copied
from modelbuild.importers.source import source_of
from modelbuild.manifest.edits import TAIL
from modelbuild.manifest.model import FIXED_SUFFIX
from modelbuild.project import convert_files
from modelbuild.project.conversion import ConvertResult, Step
from modelbuild.project.edit_file import Edit, checked
from modelbuild.project.model_files import check_suffix, explained


def convert(
    source: Path,
    out: Path,
    *,
    weights: Path | None = None,
    shapes: Mapping[str, Shape] | None = None,
    edits: Sequence[Edit] = (),
    chip: str | None = None,
    edition: str | None = None,
    only_import: bool = False,
    skip: Sequence[str] = (),
    paranoid: bool = False,
    force: bool = False,
    directory: Path | None = None,
) -> ConvertResult:
    """Writes `source` as ONNX of opset 17 to `out`: imported, after `edits`, normalised, and with a `chip`
    after its recipe's passes, less those of `skip`; with `only_import` as imported and edited.

    `shapes` fixes open inputs; `paranoid` runs the guard after each pass; `edition` is that of the chip's
    operator table. A recipe's path is relative to `directory`. Raises ModelbuildError for everything that is
    wrong with the request or the model (exit 2), and for a step that changes what the model computes, or a
    disk that is full (exit 1); what lies at `out` and beside it is then as it was."""
    _check_options(chip, edition, only_import, skip, paranoid)
    recipe = None if chip is None else load_recipe(chip, directory or Path.cwd(), edition)
    _check_skip(skip, recipe)
    wanted = checked(edits, "edit") if edits else []
    tail = _asks_for_tail(wanted, recipe)
    _check_places(source, out, weights, tail, force)
    asked = [edit for edit in wanted if edit != TAIL]
    imported, steps = _imported(source, weights, shapes or {}, asked)
    graph, further = (imported, []) if only_import else _optimized(imported, recipe, skip, paranoid)
    parted = _parted(graph, recipe, imported) if tail and recipe is not None else None
    if parted is not None:
        further.append(parted.step)
        graph = parted.split.chip
    rest = [(convert_files.post_of(out), parted.split.post)] if parted and parted.split.post.nodes else []
    stale = None if rest else convert_files.left_behind(out)
    written = convert_files.write([(out, graph), *rest], stale)
    return ConvertResult(
        source_of(imported),
        (*steps, *further),
        written[0],
        written[1] if rest else None,
        None if recipe is None else _units(graph, recipe),
        None if parted is None else parted.split,
        stale,
    )


def _asks_for_tail(edits: Sequence[Edit], recipe: Recipe | None) -> bool:
    if TAIL not in edits:
        return False
    if recipe is None:
        raise ModelbuildError(
            "`tail: auto` needs a chip",
            why="what is cut off is what the chip does not run",
            advice="name it: --chip kl720",
        )
    return True


def _check_places(source: Path, out: Path, weights: Path | None, tail: bool, force: bool) -> None:
    """Refuses what could not end well before any work is done."""
    if source.name.lower().endswith(FIXED_SUFFIX):
        raise ModelbuildError(
            f"{source.name} is imported and quantized already",
            where=str(source),
            advice="`modelbuild inspect` shows it; convert the float model that it was made from",
        )
    check_suffix(source)
    importers.check_weights(importers.importer_for(source), weights)
    convert_files.check_name(out)
    for path in (out, convert_files.post_of(out)) if tail else (out,):
        convert_files.check_place(path, (source, weights), force)


def _check_options(
    chip: str | None, edition: str | None, only_import: bool, skip: Sequence[str], paranoid: bool
) -> None:
    """Refuses what contradicts itself, and passes that are not there or have to run."""
    leave_out = "leave one of them out"
    for option, given in (("--chip", chip), ("--paranoid", paranoid), ("--skip", skip)):
        if only_import and given:
            raise ModelbuildError(
                f"--only-import and {option} contradict each other",
                why="the passes come after the import, and --only-import runs none",
                advice=leave_out,
            )
    if edition is not None and chip is None:
        raise ModelbuildError(
            "--edition needs a chip",
            why="it is that of the chip's operator table",
            advice=f"name the chip too: --chip kl720 --edition {edition}",
        )


def _check_skip(skip: Sequence[str], recipe: Recipe | None) -> None:
    """Refuses passes that would not run anyway, and those that have to."""
    known = for_recipe(recipe.passes if recipe is not None else ())
    free = sorted({*known} - {*REQUIRED})
    listed = f"those that do and can be left out: {', '.join(free)}"
    for name in skip:
        if name in REQUIRED:
            raise ModelbuildError(
                f"--skip: `{name}` cannot be left out",
                why=REQUIRED[name],
                advice=f"those that can: {', '.join(free)}",
            )
        if name not in known:
            raise ModelbuildError(
                f"--skip: no pass `{name}` runs here",
                advice=did_you_mean(base(name), free) or listed,
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
        reason = "without the edits it cannot be imported, and with them it computes something else"
        nodes = source_of(graph)["nodes"]
        return graph, [Step("import, edit", nodes, len(graph.nodes), against="the file", reason=reason)]
    steps = [_step_of_import(whole, importers.check(source, whole))]
    if edits:
        reason = "edits change what the model computes"
        steps.append(Step("edit", len(whole.nodes), len(graph.nodes), reason=reason))
    return graph, steps


def _step_of_import(graph: Graph, difference: Difference | None) -> Step:
    facts = source_of(graph)
    by_codes = facts["format"] == "onnx" and bool(facts.get("quantized"))
    reason = "" if difference is not None or by_codes else _REASONS.get(facts["format"], _no_runtime(facts))
    return Step(
        "import",
        facts["nodes"],
        len(graph.nodes),
        difference=difference,
        against="the file",
        by_codes=by_codes,
        reason=reason,
    )


# format that onnxruntime runs -> why a file of it was not held against its import all the same
_REASONS = {"onnx": "it has other number formats or leftovers of training, as the notes below say"}


def _no_runtime(facts: Mapping[str, object]) -> str:
    return f"there is no {facts['format']} runtime here; the next steps are held to what was imported"


def _optimized(
    imported: Graph, recipe: Recipe | None, skip: Sequence[str], paranoid: bool
) -> tuple[Graph, list[Step]]:
    """The imported model after the chip-neutral passes and those of the recipe."""
    graph, rows = normalise(imported, skip, paranoid=paranoid)
    steps = [_step("normalise", imported, graph, imported, rows)]
    if recipe is not None:
        before, names = graph, [entry for entry in recipe.passes if named(entry, skip)]
        graph, rows = run_passes(graph, names, paranoid)
        steps.append(_step("lower", before, graph, imported, rows))
    return graph, steps


def _step(name: str, before: Graph, after: Graph, held_to: Graph, rows: Sequence[PassResult]) -> Step:
    difference = guard.check(held_to, after, what=name, advice=_FIND_PASS)
    acted: dict[str, int] = {}
    errors: dict[str, float] = {}
    for row in rows:
        if row.changes:
            acted[row.name] = acted.get(row.name, 0) + row.changes
        if row.error is not None:
            errors[row.name] = max(row.error, errors.get(row.name, 0.0))
    against = "the imported model"
    return Step(name, len(before.nodes), len(after.nodes), acted, difference, against, errors=errors)


_FIND_PASS = "add --paranoid, which names the pass, and leave that one out with --skip"


class _Parted(NamedTuple):
    split: Split
    step: Step


def _parted(graph: Graph, recipe: Recipe, imported: Graph) -> _Parted:
    """The part on the chip and the part after it, held to the source together."""
    found = split(graph, recipe)
    whole = copied(graph)
    whole.nodes = [*found.chip.nodes, *found.post.nodes]
    difference = guard.check(imported, whole, what="cutting off the tail")
    count = len(found.chip.nodes)
    against = "the imported model, with the part after"
    return _Parted(found, Step("tail", len(graph.nodes), count, difference=difference, against=against))


def _units(graph: Graph, recipe: Recipe) -> dict[str, int]:
    placed = list(place(graph, recipe).units.values())
    return {unit: placed.count(unit) for unit in sorted(set(placed))}
