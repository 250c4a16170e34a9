"""After a build in which all went well: everything that it rests on, written down as one snapshot."""

from __future__ import annotations

import marshal
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild.build import cycles, disk, look, written
from modelbuild.build.action import Action
from modelbuild.build.amendment import Amendment, load
from modelbuild.build.recall import AMENDED, PLAN, Recalled, path_of
from modelbuild.build.result import Outcome
from modelbuild.build.rows import UNKNOWN
from modelbuild.build.snapshot import Left, Looked, Snapshot, snapshot
from modelbuild.build.state import State
from modelbuild.build.store import Blob
from modelbuild.build.verdict import MustRun, Settled, Verdict
from modelbuild.errors import ModelbuildError

_MOST = 32  # requests that are remembered


class Fact(NamedTuple):
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


class Done(NamedTuple):
    """What came of one action: the fact, and its outputs."""

    action: Action
    fact: Fact
    outcome: Outcome


class Product(NamedTuple):
    """A published folder, relative to the root, and what it holds: relative path -> digest."""

    folder: str
    files: Mapping[str, str]


class Stale(Exception):
    """Something changed since it was looked at, so that nobody can say what the build rests on; says what."""


def kept_at(state: State, request: str, suffix: str = "") -> Path:
    """Where the snapshot of a request is kept, or with `PLAN` the file of its actions, with `AMENDED` that of
    what is otherwise since."""
    return Path(path_of(str(state.folder), request) + suffix)


def forget(state: State, request: str) -> None:
    """Removes what is remembered of a request. Raises ModelbuildError (exit 1)."""
    for suffix in ("", PLAN, AMENDED):
        disk.remove(kept_at(state, request, suffix))


def looked(state: State, request: str) -> Recalled | None:
    """The snapshot of a request and its rows that are otherwise now, seen by who has the lock."""
    found = load(disk.read(kept_at(state, request)), disk.read(kept_at(state, request, AMENDED)))
    if found is None:
        return None
    snapshot, amendment = found
    different, renewed = snapshot.differing(str(state.root), state.stat_cache.clock)
    amendment.add(snapshot, renewed)
    return Recalled(snapshot, tuple(different), amendment, state.turn)


def keep(path: Path, snapshot: Snapshot, amendment: Amendment | None, scratch: Path) -> None:
    """Keeps the snapshot in the file `path`, or what in it is not as in that file, if that is little, beside
    it. Raises ModelbuildError (exit 1), and ValueError where a value is not plain."""
    beside = Path(f"{path}{AMENDED}")
    if amendment is not None and amendment.is_small:
        disk.write(beside, amendment.pack(snapshot.told), scratch, flushes=False)
    else:
        disk.write(path, snapshot.pack(), scratch)
        disk.remove(beside)


@cycles.not_sought()
def trust(state: State, request: str) -> None:
    """Lets verdicts take the results of a request as they are, where no row of theirs differs."""
    found = looked(state, request)
    if found is None:
        return
    doubtful = set(owners(found.snapshot.action_spans, found.different))
    for index, packed in enumerate(found.snapshot.results):
        if index not in doubtful:
            result = result_of(packed)
            state.proven[result.keys[0]] = result.outputs


def owners(spans: Sequence[int], rows: Sequence[int]) -> Iterator[int]:
    """Whose the rows are, where they are somebody's: indices of the spans."""
    for row in rows:
        if spans[0] <= row < spans[-1]:
            yield bisect_right(spans, row) - 1


@cycles.not_sought()
def remember(
    state: State,
    request: str,
    done: Sequence[Done],
    looked_at: Mapping[str, str],
    began_ns: int,
    products: Sequence[Product],
    told: Any,
    told_of_plan: Any,
) -> str:
    """Keeps the snapshot of a build of these actions, in topological order, and the actions beside it; why
    that could not be, or nothing.

    `looked_at` is absolute path -> code of `look` of all that the plan was made from, read after `began_ns`
    of `time.time_ns()`. Where something changed meanwhile, or a parameter is no plain value, what was known
    is forgotten.
    """
    try:
        made, plan = _made(state, done, looked_at, began_ns, products, told, told_of_plan)
    except (Stale, ValueError) as error:
        forget(state, request)
        return str(error)
    disk.write(kept_at(state, request, PLAN), plan, state.scratch)
    keep(kept_at(state, request), made, None, state.scratch)
    _drop_oldest(state)
    state.stat_cache.trim()
    return ""


def changed(state: State, done: Sequence[Done]) -> list[str]:
    """The files, relative to the root, that are otherwise now than when these actions were judged."""

    def is_same(name: str, digest: str) -> bool:
        try:
            return state.stat_cache.digest_now(name, state.place(name)) == digest
        except ModelbuildError:
            return False

    seen = {name: digest for one in done for name, digest in one.fact.files.items()}
    return [name for name, digest in sorted(seen.items()) if not is_same(name, digest)]


def _drop_oldest(state: State) -> None:
    """Keeps the snapshots of so many requests; one that is dropped costs a build that loads everything."""
    folder = kept_at(state, "")
    kept = sorted(
        (path for path in folder.iterdir() if not path.suffix), key=lambda path: path.stat().st_mtime_ns
    )
    for path in kept[:-_MOST]:
        forget(state, path.name)


def _made(
    state: State,
    done: Sequence[Done],
    looked_at: Mapping[str, str],
    began_ns: int,
    products: Sequence[Product],
    told: Any,
    told_of_plan: Any,
) -> tuple[Snapshot, bytes]:
    """The snapshot and the file that `written` makes. Raises Stale and ValueError."""
    state.stat_cache.settle()
    published = label(state, str(state.folder / "published.json"))
    readers: dict[str, list[int]] = {published: []}  # without it nobody knows whose the products are
    for index, one in enumerate(done):
        for name in one.fact.files:
            readers.setdefault(name, []).append(index)
    digests = {name: digest for one in done for name, digest in one.fact.files.items()}
    rows = list(_plan_rows(state, looked_at, began_ns, digests))
    files = [_published_row(state, published)]
    files += [file_row(state, name, name, digests[name]) for name in readers if name != published]
    data, plan = written.write([one.action for one in done], list(readers.values()), told_of_plan)
    left = [left_by(state, one) for one in done]
    folders = [list(product_rows(state, product)) for product in products]
    return snapshot(rows, files, left, folders, plan, told), data


def _published_row(state: State, name: str) -> Looked:
    """A build that published nothing may be the first."""
    if (state.root / name).exists():
        return file_row(state, name, name)
    return Looked.now(look.KIND, name, str(state.root), state.stat_cache.clock)


def _plan_rows(
    state: State, looked_at: Mapping[str, str], began_ns: int, read: Mapping[str, str]
) -> Iterator[Looked]:
    """A file that changed after loading began may be other than what was loaded. One whose head alone was
    looked at, and that an action reads, stands among the files."""
    limit = state.stat_cache.clock.since(began_ns)
    for path, code in looked_at.items():
        name = label(state, path)
        if code == look.HEAD and name in read:
            continue
        try:
            if os.stat(path).st_ctime_ns > limit:  # noqa: PTH116
                raise Stale(f"{name} changed since the project was loaded, or its time is ahead of the clock")
        except OSError as error:
            if code != look.KIND:
                raise Stale(f"{name} cannot be looked at: {error.strerror}") from None
        if code == look.FILE:
            yield file_row(state, name, name)
        else:
            yield Looked.now(code, name, str(state.root), state.stat_cache.clock)


def left_by(state: State, done: Done) -> Left:
    """What an action left in the state: records and outputs."""
    places = {key: label(state, state.records.place(key)) for key in done.fact.keys}
    rows = [file_row(state, place, f"record:{key}") for key, place in places.items()]
    for blob in done.outcome.outputs.values():
        path = label(state, state.store.place(blob.digest))
        rows.append(file_row(state, path, f"blob:{blob.digest}", blob.digest))
    outputs = {name: (blob.digest, blob.size) for name, blob in done.outcome.outputs.items()}
    return Left(done.action.name, rows, marshal.dumps((done.fact.keys, sorted(done.fact.files), outputs)))


class Result(NamedTuple):
    """What a snapshot keeps of an action: its keys, the files that it read, and what it left."""

    keys: tuple[str, ...]
    files: list[str]
    outputs: dict[str, Blob]


def result_of(packed: bytes) -> Result:
    """One of a snapshot's `results`."""
    keys, files, outputs = marshal.loads(packed)
    return Result(keys, files, {name: Blob(*pair) for name, pair in outputs.items()})


def product_rows(state: State, product: Product, *, reads: bool = True) -> Iterator[Looked]:
    """A published folder: its folders' names and its files, which are read, if need be, only with `reads`.
    Raises Stale."""
    found = set()
    for folder, _, names in os.walk(state.root / product.folder):
        where = label(state, folder)
        yield Looked.now(look.OWN_FOLDER, where, str(state.root), state.stat_cache.clock)
        for name in sorted(names):
            path = f"{where}/{name}"
            relative = path.removeprefix(f"{product.folder}/")
            if relative not in product.files:
                raise Stale(f"nobody has made {path}")
            found.add(relative)
            yield file_row(state, path, path, product.files[relative], reads=reads)
    if found != product.files.keys():
        raise Stale(f"{product.folder} is not whole")


def file_row(
    state: State, name: str, known_as: str, expected: str | None = None, *, reads: bool = True
) -> Looked:
    """A row of a file: the digest that was seen or made, if one was, and a signature where that is still
    true. Without `reads`, a file that would have to be read is left to the next look, which holds it against
    that digest."""
    try:
        signature, digest = state.stat_cache.row_now(known_as, state.place(name), expected, reads=reads)
    except ModelbuildError as error:
        raise Stale(f"{name} cannot be read: {error}") from error
    return Looked(look.FILE, name, expected or digest, signature if expected in (None, digest) else UNKNOWN)


def label(state: State, path: str) -> str:
    """A path relative to the root, or as it is if it lies outside."""
    root = f"{state.root}/"
    return path.removeprefix(root) if path.startswith(root) else path
