"""Labels of a sample set: text, CSV or JSON files, or a folder a class. They must match the set."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.lfs import is_pointer, pointer_error
from modelbuild.samples import boxes

# The class of a sample; its boxes, as `boxes.Box`; or numbers that a function of the user's makes sense of
Label = int | list[boxes.Box] | list[float]
CLASSES, BOXES, NUMBERS = "classes", "boxes", "numbers"
FOLDERS = "folders"  # instead of a labels file: the class is the folder that holds the sample
MAX_BYTES = 1 << 28
_DEEPEST = 100  # lists, objects and their pairs in each other; COCO's files have a dozen
_Row = tuple[str, str, object]  # where (file:line), path, label


def kind_of(labels: Sequence[Label]) -> str:
    """What the labels of a set are: CLASSES, BOXES or NUMBERS. Lists that are all empty are of no boxes."""
    if all(isinstance(label, int) for label in labels):
        return CLASSES
    inner = (item for label in labels if isinstance(label, list) for item in label)
    return NUMBERS if any(isinstance(item, float) for item in inner) else BOXES


def read_labels(labels: Path | str, files: Sequence[Path], base: Path | None = None) -> list[Label]:
    """The label of each of `files`, in their order, all of one kind.

    `labels` is `"folders"` (the folders that hold the files, sorted by name, are the classes 0, 1 ...), or a
    file: lines `path label` (`#` starts a comment), `.csv` with or without the header `path,label`, `.json`
    as {path: label} or a list of labels in the order of `files`. Paths are relative to the labels file or to
    `base`. In .json a label may also be a list of boxes, or of numbers; a file in COCO's form gives boxes,
    and may have pictures that are none of `files`. A file without a label, a label without a file, a path
    named twice and labels of two kinds are errors with the line."""
    if str(labels) == FOLDERS:
        return list(_from_folders(files))
    path = Path(labels)
    text = _text(path)
    folders = [path.parent, *([base] if base is not None else [])]
    if path.suffix.lower() == ".json":
        return _of_one_kind(_from_json(path, text, files, folders), path)
    return _match(path, _READERS.get(path.suffix.lower(), _read_lines)(path, text), files, folders)


def _from_json(path: Path, text: str, files: Sequence[Path], folders: Sequence[Path]) -> list[Label]:
    data = _parsed(path, text)
    _require_shallow(path, data)
    if boxes.is_coco(whole := dict(data) if _is_object(data) else data):
        rows = boxes.from_coco(_plain(whole), str(path))
        return _match(path, _of_set(rows, files), files, folders)
    if _is_object(data):
        rows = [(f"{path}[{key!r}]", key, _plain(value)) for key, value in data]
        return _match(path, rows, files, folders)
    if isinstance(data, list):
        listed = [(f"{path}[{index}]", "", _plain(value)) for index, value in enumerate(data)]
        return _in_order(path, listed, files) if listed else _match(path, listed, files, folders)
    raise ModelbuildError(
        "the labels are neither an object nor a list",
        where=str(path),
        advice='write {"path": label, ...} or [label, ...]',
    )


def _of_set(rows: Sequence[_Row], files: Sequence[Path]) -> list[_Row]:
    """The rows of pictures in the set, by their paths there: a file of COCO's names them without a folder,
    and is often of more."""
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    found: list[_Row] = []
    for where, name, value in rows:
        likely = by_name.get(PurePosixPath(name).name, [])
        exact = [file for file in likely if file.as_posix().endswith(f"/{name}")] or likely
        if len(exact) > 1:
            why = " and ".join(map(str, sorted(exact)[:2]))
            raise ModelbuildError(f"{name} names two files of the set", where=where, why=why)
        found += [(where, str(file.absolute()), value) for file in exact]
    return found


def _of_one_kind(labels: list[Label], path: Path) -> list[Label]:
    kinds = {kind_of([label]) for label in labels if label != []}
    if len(kinds) > 1 or (CLASSES in kinds and [] in labels):
        raise ModelbuildError(
            "the labels are of different kinds",
            where=str(path),
            why="a set has classes, boxes or lists of numbers",
            advice="split the set, or write the labels alike",
        )
    return labels


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
        raise ModelbuildError(
            "cannot read the labels",
            where=str(path),
            why=error.strerror or "",
            advice="correct the path; `labels: folders` takes the samples' folders as classes",
        ) from error
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


def _parsed(path: Path, text: str) -> Any:
    """The data with objects as lists of pairs, so that none that stands twice is lost."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as error:
        raise ModelbuildError("not readable as JSON", where=str(path), why=str(error)) from error


def _require_shallow(path: Path, data: Any) -> None:
    """Level by level, for what reads the data calls itself for each."""
    level = [data]
    for _ in range(_DEEPEST):
        level = [inner for item in level if isinstance(item, list | tuple) for inner in item]
        if not level:
            return
    raise ModelbuildError(
        "not labels: lists and objects are nested too deep", where=str(path), why=f"limit: {_DEEPEST} levels"
    )


def _is_object(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and isinstance(data[0], tuple)


def _plain(value: Any) -> Any:
    """What `_parsed` gave, with objects as mappings. An empty one is an empty list."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if _is_object(value):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_READERS: dict[str, Callable[[Path, str], list[_Row]]] = {".csv": _read_csv}


def _in_order(path: Path, rows: Sequence[_Row], files: Sequence[Path]) -> list[Label]:
    if len(rows) != len(files):
        raise ModelbuildError(
            f"{len(rows)} labels for {len(files)} samples",
            where=str(path),
            why="a list of labels has one for each file of the set, in sorted order",
        )
    return [_label(value, where) for where, _, value in rows]


def _match(path: Path, rows: Sequence[_Row], files: Sequence[Path], folders: Sequence[Path]) -> list[Label]:
    known = {_normal(file): file for file in files}
    found: dict[Path, tuple[Label, str]] = {}
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
        found[file] = (_label(value, where), where)
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


def _label(value: Any, where: str) -> Label:
    if not isinstance(value, list):
        return _number(value, where)
    if value and not isinstance(value[0], dict):
        return boxes.numbers_of(value, where)
    return [boxes.box_of(item, f"{where}[{index}]") for index, item in enumerate(value)]


def _number(value: Any, where: str) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ModelbuildError(
            f"the label {value!r} is not a class number", where=where, why="a label is a whole number from 0"
        )
    return int(text)
