"""`modelbuild.lock`: what a locked build starts from and must come out as; the file, read strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest import conflict
from modelbuild.manifest.lock_name import LOCK as LOCK

FOLDER = "modelbuild.locked"  # of the records: FOLDER/<model>@<target>/<record>
SCHEMA = 1
QUANTIZATION, MEASUREMENTS = "quant.txt", "measurements.json"
MOST_BYTES = 64 << 20
# What git may write with other line ends (core.autocrlf): digested as if it had not
TEXT_SUFFIXES = frozenset({".txt", ".csv", ".json", ".prototxt", ".pbtxt"})

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedSamples(_Strict):
    """A sample set as it was: how many samples, a digest over the names and bytes of their files, and the
    digest of the file of labels where there is one."""

    count: int = Field(ge=1)
    sha256: Digest
    labels: dict[str, Digest] = {}


class LockedModel(_Strict):
    """A model on a target. `settings` are those that decide the fixed-point model, the program or what is
    measured: dotted path -> value. `sources` and `records` are paths from the manifest -> SHA-256."""

    recipe: Digest
    records: dict[str, Digest]
    samples: dict[str, LockedSamples]
    settings: dict[str, JsonValue]
    sources: dict[str, Digest]
    toolchain: str

    def record(self, name: str) -> str | None:
        """The path of the record of that file name, if the model has one."""
        return next((path for path in self.records if path.rpartition("/")[2] == name), None)


class LockedPackage(_Strict):
    """A package: what is written into it beside its models, and its files as shipped -> SHA-256."""

    files: dict[str, Digest]
    settings: dict[str, JsonValue]


class Lock(_Strict):
    """The whole file. Models stand under `MODEL@TARGET`. `libraries` is for people: it decides nothing."""

    libraries: dict[str, str] = {}
    manifest: str
    modelbuild: str
    models: dict[str, LockedModel] = {}
    packages: dict[str, LockedPackage] = {}
    schema_number: Literal[1] = Field(default=1, alias="schema")


def encode(lock: Lock) -> str:
    """The file's text: JSON, sorted, one item a line."""
    return one_item_a_line(lock.model_dump(by_alias=True))


def one_item_a_line(value: Mapping[str, Any]) -> str:
    """JSON whose mappings are sorted and have a line for each entry, lists of mappings one for each item."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> list[str]:
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        entries = [(f"{_json(key)}: ", _lines(value[key], inner)) for key in sorted(value)]
        return ["{", *_items(entries, inner), f"{indent}}}"]
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return ["[", *_items([("", [_json(item)]) for item in value], inner), f"{indent}]"]
    return [_json(value)]


def _items(entries: list[tuple[str, list[str]]], indent: str) -> list[str]:
    lines: list[str] = []
    for number, (head, body) in enumerate(entries, 1):
        comma = "," if number < len(entries) else ""
        lines += [f"{indent}{head}{body[0]}", *body[1:]]
        lines[-1] += comma
    return lines


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def decode(text: str) -> Lock:
    """The lock in `text`. Raises ModelbuildError (exit 2) that says where it is damaged, or that it is of a
    newer modelbuild."""
    try:
        content = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        if unmerged := conflict.found(text, LOCK, "take either side, then write it with `modelbuild lock`"):
            raise unmerged from None
        raise _damaged(f"{LOCK}:{error.lineno}:{error.colno}", error.msg) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(LOCK, str(error)) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise _damaged(LOCK, "it has no `schema`, a number")
    if schema > SCHEMA:
        raise ModelbuildError(
            f"schema {schema} of {LOCK} is newer than this modelbuild, which knows {SCHEMA}",
            where=LOCK,
            advice="install the modelbuild that wrote it, or write it again with `modelbuild lock`",
        )
    try:
        return Lock.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(LOCK, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{double}` stands twice in one place")
    return found


def _damaged(where: str, why: str) -> ModelbuildError:
    return ModelbuildError(
        f"{LOCK} cannot be read",
        where=where,
        why=why,
        advice="take the file from git again, or write it again with `modelbuild lock`",
    )


def read(root: Path) -> Lock:
    """The lock beside the manifest. Raises ModelbuildError (exit 2) where there is none that can be read."""
    text = read_text(root)
    if text is None:
        raise ModelbuildError(
            f"there is no {LOCK} beside the manifest", advice="write it with `modelbuild lock`, and commit it"
        )
    return decode(text)


def read_text(root: Path) -> str | None:
    """The lock's text with the line ends that it was written with; None where there is no such file."""
    path = root / LOCK
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _damaged(LOCK, "it is too large")
        return path.read_bytes().replace(b"\r\n", b"\n").decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(LOCK, error.strerror or str(error)) from error
    except UnicodeDecodeError:
        raise _damaged(LOCK, "it is not UTF-8 text") from None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file; of text with its line ends as in a repository (LF). Raises OSError."""
    if path.suffix.lower() in TEXT_SUFFIXES:
        return digest_of_text(path.read_bytes())
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of_text(data: bytes) -> str:
    """The SHA-256 of text, its line ends as LF."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def pair_name(model: str, target: str) -> str:
    """`MODEL@TARGET`."""
    return f"{model}@{target}"


def record_path(model: str, target: str, name: str) -> str:
    """Where a record of the pair lies, from the manifest."""
    return f"{FOLDER}/{pair_name(model, target)}/{name}"


def other_manifest(lock: Lock, manifest: str) -> Problem | None:
    """What is wrong where the lock was written for another manifest of the same folder."""
    if lock.manifest == manifest:
        return None
    return Problem(
        f"{LOCK} was written for {lock.manifest}",
        where=LOCK,
        why=f"this is {manifest}, and a folder has one lock",
        advice="keep manifests that are locked in folders of their own",
    )
