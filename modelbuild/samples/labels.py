"""Labels of a sample set: text, CSV or JSON files, or a folder a class. They must match the set exactly."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.lfs import is_pointer, pointer_error

FOLDERS = "folders"  # instead of a labels file: the class is the folder that holds the sample
MAX_BYTES = 1 << 28
_Row = tuple[str, str, object]  # where (file:line), path, label


def read_labels(labels: Path | str, files: Sequence[Path], base: Path | None = None) -> list[int]:
    """The label of each of `files`, in their order.

    `labels` is `"folders"` (the folders that hold the files, sorted by name, are the classes 0, 1 ...), or a
    file: lines `path label` (`#` starts a comment), `.csv` with or without the header `path,label`, `.json`
    as {path: label} or a list of labels in the order of `files`. Paths are relative to the labels file or to
    `base`. A file without a label, a label without a file and a path named twice are errors with the line."""
    if str(labels) == FOLDERS:
        return _from_folders(files)
    path = Path(labels)
    reader = _READERS.get(path.suffix.lower(), _read_lines)
    rows = reader(path, _text(path))
    if isinstance(rows, list) and rows and rows[0][1] == "":
        return _in_order(path, rows, files)
    return _match(path, rows, files, [path.parent, *([base] if base is not None else [])])


def _from_folders(files: Sequence[Path]) -> list[int]:
    classes = sorted({path.parent.name for path in files}, key=os.fsencode)
    parents = {path.parent.name: path.parent for path in files}
    for path in files:
        if path.parent != parents[path.parent.name]:
            raise ModelbuildError(
                f"two folders are called {path.parent.name}",
                where=str(path),
                why=f"the other is {parents[path.parent.name]}; a folder's name is its class",
            )
    return [classes.index(path.parent.name) for path in files]


def _text(path: Path) -> str:
    if is_pointer(path):
        raise pointer_error(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelbuildError(
                "the labels file is too large", where=str(path), why=f"limit: {MAX_BYTES} bytes"
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelbuildError("cannot read the labels", where=str(path), why=error.strerror or "") from error
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
        raise ModelbuildError("the labels are not text", where=str(path), why=why) from error


def _read_lines(path: Path, text: str) -> list[_Row]:
    rows: list[_Row] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.rsplit(None, 1)
        if len(words) != 2:
            raise ModelbuildError(
                f"`{line.strip()}` is not `path label`",
                where=f"{path}:{number}",
                advice="write a path and a number",
            )
        rows.append((f"{path}:{number}", words[0].strip(), words[1]))
    return rows


def _read_csv(path: Path, text: str) -> list[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[_Row] = []
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not rows and [cell.strip().lower() for cell in cells] == ["path", "label"]:
                continue
            if len(cells) != 2:
                raise ModelbuildError(f"{len(cells)} columns instead of path,label", where=where)
            rows.append((where, cells[0].strip(), cells[1].strip()))
    except csv.Error as error:
        raise ModelbuildError(
            "not readable as CSV", where=f"{path}:{reader.line_num}", why=str(error)
        ) from error
    return rows


def _read_json(path: Path, text: str) -> list[_Row]:
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as error:
        raise ModelbuildError("not readable as JSON", where=str(path), why=str(error)) from error
    if isinstance(data, list) and data and isinstance(data[0], tuple):
        return [(f"{path}[{key!r}]", key, value) for key, value in data]
    if isinstance(data, list):
        return [(f"{path}[{index}]", "", value) for index, value in enumerate(data)]
    raise ModelbuildError(
        "the labels are neither an object nor a list",
        where=str(path),
        advice='write {"path": label, ...} or [label, ...]',
    )


_READERS: dict[str, Callable[[Path, str], list[_Row]]] = {".csv": _read_csv, ".json": _read_json}


def _in_order(path: Path, rows: Sequence[_Row], files: Sequence[Path]) -> list[int]:
    if len(rows) != len(files):
        raise ModelbuildError(
            f"{len(rows)} labels for {len(files)} samples",
            where=str(path),
            why="a list of labels has one for each file of the set, in sorted order",
        )
    return [_number(value, where) for where, _, value in rows]


def _match(path: Path, rows: Sequence[_Row], files: Sequence[Path], folders: Sequence[Path]) -> list[int]:
    known = {_normal(file): file for file in files}
    found: dict[Path, tuple[int, str]] = {}
    for where, name, value in rows:
        candidates = {_normal(folder / name) for folder in folders} & known.keys()
        if not candidates:
            raise ModelbuildError(
                f"{name} is not in the sample set",
                where=where,
                advice="take the line out, or widen the set's `files`",
            )
        if len(candidates) > 1:
            listed = " and ".join(str(candidate) for candidate in sorted(candidates))
            raise ModelbuildError(f"{name} names two files of the set", where=where, why=f"{listed}")
        file = known[candidates.pop()]
        if file in found:
            raise ModelbuildError(
                f"{name} has a second label", where=where, why=f"the first is at {found[file][1]}"
            )
        found[file] = (_number(value, where), where)
    missing = [file for file in files if file not in found]
    if missing:
        more = f" and for {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelbuildError(
            f"no label for {missing[0]}{more}",
            where=str(path),
            advice="add the lines, or narrow the set's `files`",
        )
    return [found[file][0] for file in files]


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))  # not resolve(): a link in the set keeps its own name


def _number(value: Any, where: str) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ModelbuildError(
            f"the label {value!r} is not a class number", where=where, why="a label is a whole number from 0"
        )
    return int(text)
