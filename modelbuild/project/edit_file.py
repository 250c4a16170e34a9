"""`edit:` lists that stand in no manifest: those of a file, and those that options stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import document, options, overrides, tree
from modelbuild.manifest.explain import validate
from modelbuild.manifest.problems import Problems

Edit = Mapping[str, Any]


def read(path: Path) -> list[Edit]:
    """The edits in a YAML file: the list itself, or a mapping with the key `edit`. Raises ModelbuildError
    that names the file, line and column of everything that is no edit."""
    return [edit for _, edit in read_placed(path)]


def read_placed(path: Path) -> list[tuple[str, Edit]]:
    """As `read`, each edit with its place: `edits.yaml:2:3`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(document.MAX_BYTES + 1)
        if len(data) > document.MAX_BYTES:
            raise ModelbuildError(
                f"the list of edits is larger than {document.MAX_BYTES >> 20} MiB", where=str(path)
            )
        node = document.parse_node(data.decode("utf-8-sig"), path.name)
    except OSError as error:
        raise ModelbuildError(
            "cannot read the list of edits",
            where=str(path),
            why=error.strerror or str(error),
            advice="name a YAML file: --edit edits.yaml",
        ) from None
    except UnicodeDecodeError:
        raise ModelbuildError("the list of edits is not UTF-8 text", where=str(path)) from None
    listed = _list_in(node)
    found = _placed(_checked(listed), path.parent)
    if not found:
        raise ModelbuildError(
            "there is no edit in the list",
            where=str(path),
            advice="write one, as `- cut: {outputs: [name]}`, or leave the file out",
        )
    nodes = listed.nodes if isinstance(listed, tree.Items) else ()
    return [(str(node.at), edit) for node, edit in zip(nodes, found, strict=True)]


def _list_in(node: tree.Node) -> tree.Node:
    """The list itself; of a mapping, that of its key `edit`. An empty file is an empty list."""
    if not isinstance(node, tree.Mapping):
        return node
    for key, entry in node.entries.items():
        if key != "edit":
            raise ModelbuildError(
                f"`{key}` is no edit", where=str(entry.key_at), advice="write a list of edits, or `edit:`"
            )
    return node.entries["edit"].node if node.entries else tree.Items((), node.at)


def _placed(edits: Sequence[Edit], folder: Path) -> list[Edit]:
    """Files that edits name lie relative to the file that the edits are in."""
    return [
        {"insert": {**given, "weights": str(folder / given["weights"])}}
        if "weights" in (given := edit.get("insert", {}))
        else edit
        for edit in edits
    ]


def checked(edits: Sequence[Edit], where: str) -> list[Edit]:
    """`edits` as a manifest would have them. Raises what is wrong with them; `where` says who wrote them."""
    return _checked(overrides.from_json(list(edits), tree.Position(where)))


def _checked(node: tree.Node) -> list[Edit]:
    problems = Problems()
    whole = tree.Mapping(node.at, {"edit": tree.Entry(node.at, node)})
    settings = validate(options.Settings, whole, problems).value
    problems.raise_any()
    found: list[Edit] = [] if settings is None else options.written(settings).get("edit", [])
    return found
