"""After a build in which all went well: everything that it rests on, written down as one snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelbuild.build import look
from modelbuild.build.rows import UNKNOWN
from modelbuild.build.snapshot import Looked, Snapshot, snapshot
from modelbuild.build.state import State
from modelbuild.build.store import Blob
from modelbuild.build.verdict import MustRun, Settled, Verdict
from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class Fact:
    """What one action of a build was found by: the keys of its records, and root-relative path -> digest of
    the files of the user's that it read."""

    keys: tuple[str, ...]
    files: Mapping[str, str]

    @classmethod
    def of(cls, verdict: Verdict) -> Fact | None:
        """The fact in a verdict; None where its key is not known."""
        if not isinstance(verdict, (Settled, MustRun)) or verdict.key is None:
            return None
        keys = (verdict.key, verdict.discovery) if verdict.discovery else (verdict.key,)
        labels = {found.label: found.digest for found in verdict.inputs.values() if found.label is not None}
        return cls(keys, labels)


@dataclass(frozen=True)
class Product:
    """A published folder, relative to the root, and what it holds: relative path -> digest."""

    folder: str
    files: Mapping[str, str]


class Stale(Exception):
    """Something changed since it was looked at, so that nobody can say what the build rests on."""


def remember(
    state: State,
    facts: Mapping[str, Fact],
    outputs: Mapping[str, Mapping[str, Blob]],
    looked_at: Mapping[str, str],
    began_ns: int,
    products: Sequence[Product],
    told: Any,
) -> Snapshot:
    """The snapshot of a build whose actions are `outputs`, in topological order.

    `looked_at` is absolute path -> code of `look` of all that the plan was made from, read after `began_ns`
    of `time.time_ns()`. Raises Stale.
    """
    state.stat_cache.settle()
    return snapshot(
        plan=list(_plan_rows(state, looked_at, began_ns)),
        files=list(_file_rows(state, facts)),
        actions=[(name, list(_left(state, facts[name], made))) for name, made in outputs.items()],
        products=[list(_product_rows(state, product)) for product in products],
        told=told,
    )


def _plan_rows(state: State, looked_at: Mapping[str, str], began_ns: int) -> Iterator[Looked]:
    """A file that changed after loading began may be other than what was loaded."""
    limit = state.stat_cache.clock.since(began_ns)
    for path, code in looked_at.items():
        try:
            if os.stat(path).st_ctime_ns > limit:  # noqa: PTH116
                raise Stale(path)
        except FileNotFoundError:
            if code != look.KIND:
                raise Stale(path) from None
        name = label(state, path)
        if code == look.FILE:
            yield _file(state, name, name)
        else:
            yield Looked.now(code, name, str(state.root), state.stat_cache.clock)


def _file_rows(state: State, facts: Mapping[str, Fact]) -> Iterator[Looked]:
    """`published.json`, without which nobody knows whose the products are, then what the actions read."""
    published = label(state, str(state.folder / "published.json"))
    if state.published.folders():
        yield _file(state, published, published)
    files: dict[str, str] = {}
    for fact in facts.values():
        files.update(fact.files)
    for name, digest in sorted(files.items()):
        yield _file(state, name, name, digest)


def _left(state: State, fact: Fact, outputs: Mapping[str, Blob]) -> Iterator[Looked]:
    for key in fact.keys:
        yield _file(state, label(state, str(state.records.path(key))), f"record:{key}")
    for blob in outputs.values():
        path = label(state, str(state.store.path(blob.digest)))
        yield _file(state, path, f"blob:{blob.digest}", blob.digest)


def _product_rows(state: State, product: Product) -> Iterator[Looked]:
    found = set()
    for folder, _, names in os.walk(state.root / product.folder):
        where = label(state, folder)
        yield Looked.now(look.FOLDER, where, str(state.root), state.stat_cache.clock)
        for name in sorted(names):
            path = f"{where}/{name}"
            relative = path.removeprefix(f"{product.folder}/")
            if relative not in product.files:
                raise Stale(path)
            found.add(relative)
            yield _file(state, path, path, product.files[relative])
    if found != product.files.keys():
        raise Stale(product.folder)


def _file(state: State, name: str, known_as: str, expected: str | None = None) -> Looked:
    """A row of a file: the digest that was seen, if one was, and a signature where that is still true."""
    try:
        digest = state.stat_cache.digest_now(known_as, state.root / name)
    except ModelbuildError as error:
        raise Stale(name) from error
    row = state.stat_cache.row(known_as)
    true = row is not None and row[1] == digest and expected in (None, digest)
    return Looked(look.FILE, name, expected or digest, row[0] if row and true else UNKNOWN)


def label(state: State, path: str) -> str:
    """A path relative to the root, or as it is if it lies outside."""
    root = f"{state.root}/"
    return path.removeprefix(root) if path.startswith(root) else path
