"""The part of a remembered build that a change concerns: it is built, and the rest is taken as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.build.amendment import amended
from modelbuild.build.recall import PLAN, Recalled
from modelbuild.build.remember import (
    Done,
    Product,
    Result,
    Stale,
    file_row,
    forget,
    keep,
    kept_at,
    left_by,
    looked,
    owners,
    product_rows,
    result_of,
)
from modelbuild.build.result import Outcome
from modelbuild.build.snapshot import renewed
from modelbuild.build.stat_cache import Row
from modelbuild.build.state import State
from modelbuild.build.written import Damaged, Written


class Resumption:
    """What is to be done again of a build that is remembered. `files` are the files of the user's that
    changed, `products` the indices of those that are not as they were published."""

    def __init__(self, seen: Recalled, path: Path) -> None:
        """`path` is of the file of the actions. Raises Unremembered where more changed than files that
        actions read, what they left and what was published; Damaged where the file is not whole."""
        snapshot, different, self._amendment, _ = seen
        self.snapshot = snapshot
        self._written = Written(path, snapshot.plan)
        self._rows = [row for row in different if row in snapshot.file_rows]
        self.files = [snapshot.rows.names[row] for row in self._rows]
        self.products = set(owners(snapshot.product_spans, different))
        if any(row < snapshot.plan_rows for row in different):
            raise Unremembered
        changed = set(owners(snapshot.action_spans, different))
        for row in self._rows:
            readers = self._written.readers(row - snapshot.plan_rows)
            if not readers:
                raise Unremembered
            changed.update(readers)
        self._affected = self._and_behind(changed)
        self.actions = [self._written.action(index) for index in self._affected]

    @property
    def told_of_plan(self) -> Any:
        """The plain values that `remember` got with the plan."""
        return self._written.told

    def given(self) -> dict[str, Outcome]:
        """The outcomes of the actions that the affected ones read and that are not affected themselves."""
        affected = set(self._affected)
        needed = {one for index in affected for one in self._written.dependencies(index)} - affected
        left = {self.snapshot.actions[index]: result_of(self.snapshot.results[index]) for index in needed}
        return {name: Outcome("cached", outputs=left[name].outputs) for name in sorted(left)}

    def read(self) -> dict[str, Row]:
        """What was known of the files of the user's that the affected actions read."""
        rows = self.snapshot.rows
        packed = [self.snapshot.results[index] for index in self._affected]
        names = {name for result in packed for name in result_of(result).files}
        return {
            rows.names[row]: (rows.signature(row), rows.digest(row))
            for row in self.snapshot.file_rows
            if rows.names[row] in names
        }

    def results(self, names: set[str]) -> dict[str, Result]:
        """What these actions read and left when the snapshot was taken."""
        return {
            name: result_of(result)
            for name, result in zip(self.snapshot.actions, self.snapshot.results, strict=True)
            if name in names
        }

    def keep(
        self, state: State, request: str, done: Sequence[Done], products: Mapping[int, Product], told: Any
    ) -> bool:
        """Keeps the snapshot as it is after the affected actions were built. False, and what was known is
        forgotten, where something changed meanwhile, or where an action found other files than before, which
        only a whole build can tell of."""
        try:
            self._keep(kept_at(state, request), state, done, products, told)
        except Stale:
            forget(state, request)
            return False
        return True

    def _keep(
        self, path: Path, state: State, done: Sequence[Done], products: Mapping[int, Product], told: Any
    ) -> None:
        state.stat_cache.settle()
        seen: dict[str, str] = {}
        left = {}
        for index, one in zip(self._affected, done, strict=True):
            if result_of(self.snapshot.results[index]).files != sorted(one.fact.files):
                raise Stale(one.action.name)
            seen.update(one.fact.files)
            left[index] = left_by(state, one)
        rows = {
            row: file_row(state, name, name, seen.get(name))
            for row, name in zip(self._rows, self.files, strict=True)
        }
        # a link to a file renews its times: all of a package would have to be read, and somebody waits
        folders = {
            index: list(product_rows(state, product, reads=False)) for index, product in products.items()
        }
        made = self.snapshot._replace(told=told)
        amendment = amended(self._amendment, made, rows, left, folders)
        if amendment is None or not amendment.is_small:
            made = renewed(self.snapshot, rows, left, folders, told)
        keep(path, made, amendment, state.scratch)

    def _and_behind(self, changed: set[int]) -> list[int]:
        """The actions and all that read from them, one way or another, in topological order."""
        waiting, found = list(changed), set(changed)
        while waiting:
            for index in self._written.dependents(waiting.pop()):
                if index not in found:
                    found.add(index)
                    waiting.append(index)
        return sorted(found)


def resume(state: State, request: str, seen: Recalled | None) -> Resumption | None:
    """What is to be done again of the build that is remembered of a request; None where that cannot be said,
    and all has to be planned and looked at. `seen` serves if nobody else had the lock since."""
    found = seen if seen is not None and seen.turn == state.turn else looked(state, request)
    if found is None:
        return None
    try:
        made = Resumption(found, kept_at(state, request, PLAN))
    except (Unremembered, Damaged):
        return None
    state.stat_cache.lend(made.read())
    return made


class Unremembered(Exception):
    """The change concerns the plan itself."""
