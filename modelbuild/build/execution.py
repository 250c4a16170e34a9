"""Runs what must run: private folder, worker, check of the inputs, store, record, history, in this order."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from modelbuild.build import canonical, disk
from modelbuild.build.action import DISCOVERED, Action
from modelbuild.build.changes import Changes
from modelbuild.build.history import Entry
from modelbuild.build.interrupts import Shielded
from modelbuild.build.key import rows_of
from modelbuild.build.labels import marked
from modelbuild.build.memory import usable
from modelbuild.build.pool import Pool
from modelbuild.build.records import Record, digest_of
from modelbuild.build.result import Advanced, Ended, Outcome
from modelbuild.build.room import Room
from modelbuild.build.state import State
from modelbuild.build.store import Blob
from modelbuild.build.tasks import Progress, Reply, Task, record_path
from modelbuild.build.verdict import MustDiscover, MustRun, told
from modelbuild.errors import EXIT_FAILED, ModelbuildError

_NAME_LIMIT = 200  # most file systems allow 255 bytes
_LOG_LIMIT = 1 << 20  # bytes


def log_path(state_folder: Path, name: str) -> Path:
    """Where the output of an action's last run is kept."""
    quoted = quote(name, safe="@:")
    if len(quoted) > _NAME_LIMIT:
        quoted = f"{quoted[:_NAME_LIMIT]}-{canonical.sha256(name.encode('utf-8'))[:16]}"
    return state_folder / "logs" / f"{quoted}.log"


class Execution:
    """The runner of a build that holds the lock; `close` it, and what still runs is killed."""

    def __init__(
        self, state: State, jobs: int, environment: Mapping[str, str | None], memory: int | None = None
    ) -> None:
        """`memory` in bytes bounds what runs side by side; by default, a share of what is available."""
        self._state = state
        self._room = Room(jobs, memory or usable())
        self._folder = state.scratch / f"build-{os.getpid()}"
        self._logs: set[str] = set()  # names of those that earlier builds left
        with suppress(OSError):
            self._logs.update(path.name for path in (state.folder / "logs").iterdir())
        self._folders: list[str] = []  # private ones, empty, to be used again
        self._pool = Pool(jobs, environment, self._folder)
        self._serial = itertools.count()
        self._replies: deque[Reply | Progress] = deque()
        self._running: dict[str, tuple[Action, MustRun | MustDiscover, int]] = {}
        self._changes = Changes(state)

    def open(self) -> Self:
        """Makes the place to work in. Raises ModelbuildError (exit 1) if the disk refuses."""
        self._pool.open()
        return self

    def close(self) -> None:
        """Leaves neither a process nor a private file behind; the second time it does nothing."""
        with Shielded():
            self._pool.close()
            _remove_empty(self._folders)
            disk.remove_tree(self._folder)

    def end(self) -> None:
        """Nothing more is to be started: the workers may end while other things are done."""
        self._pool.end()

    def retire(self) -> None:
        """All that is left runs: workers may end when they have done it, beside those that still work. After
        a discovery its action is to run, in the same worker."""
        if not any(isinstance(todo, MustDiscover) for _, todo, _ in self._running.values()):
            self._pool.retire()

    @property
    def has_room(self) -> bool:
        """Whether any action could start now."""
        return self._pool.has_room and self._room.fits(1, 0)

    def fits(self, action: Action, memory: int) -> bool:
        """Whether an action that needs that much can start now."""
        return self._pool.has_room and self._room.fits(action.resources.threads, memory)

    def start(self, action: Action, todo: MustRun | MustDiscover, memory: int) -> int:
        """Begins to run an action or its discovery; the worker's number.

        Raises ModelbuildError (exit 1) if the disk refuses.
        """
        for found in todo.inputs.values():
            if found.data is not None:
                self._state.store.put(found.data)
        folder = self._folders.pop() if self._folders else self._new_folder()
        discovers = isinstance(todo, MustDiscover)
        task = Task(
            name=action.name,
            kind="discover" if discovers else "run",
            function=(action.discover or "") if discovers else action.function,
            parameters={**action.parameters, **action.unkeyed},
            inputs={role: found.path for role, found in todo.inputs.items()},
            folder=folder,
            blobs=self._state.store.folder,
            key=todo.key,
            fields=todo.fields,
            memory=memory,
            secrets=() if discovers else action.secrets,
        )
        began_ns = time.time_ns()
        worker = self._pool.start(task)
        self._running[action.name] = (action, todo, began_ns)
        self._room.take(action.name, action.resources.threads, memory)
        return worker

    def _new_folder(self) -> str:
        folder = self._folder / str(next(self._serial))
        try:
            for one in (folder, folder / "out", folder / "tmp"):
                disk.make_folder(one)
        except OSError as error:
            raise disk.failure("make the folder", folder, error) from error
        return str(folder)

    def wait(self, block: bool) -> Ended | Advanced | None:
        """The next that ended or told how far it is; None only if nothing has and it shall not `block`."""
        if not self._replies:
            if block:
                self._prepare()
            self._replies.extend(self._pool.wait(block))
        return self._heard(self._replies.popleft()) if self._replies else None

    def _prepare(self) -> None:
        """Makes ready, while there is nothing else to do, what else somebody would wait for."""
        self._state.stat_cache.load()
        self._state.history.count()
        disk.tree_remover()
        if not self._folders:
            with suppress(ModelbuildError):  # said when an action needs it
                self._folders.append(self._new_folder())

    def _heard(self, reply: Reply | Progress) -> Ended | Advanced:
        if isinstance(reply, Progress):
            return Advanced(reply.task.name, reply.worker, reply.step, reply.steps, reply.what)
        key = self._running[reply.task.name][1].key
        name, outcome = self._ended(reply)
        return Ended(name, outcome, reply.worker, reply.peak_bytes, key)

    def _ended(self, reply: Reply) -> tuple[str, Outcome | None]:
        action, todo, began_ns = self._running.pop(reply.task.name)
        self._room.give_back(action.name)
        is_empty = False
        try:
            self._keep_log(reply)
            if self._changes.disturbed(action.name, todo, self._said(todo, reply)):
                return action.name, None
            if isinstance(todo, MustDiscover):
                return action.name, self._found(todo, reply, began_ns)
            outcome = self._done(action, todo, reply)
            is_empty = reply.clean  # for all that was in the folder is adopted
            return action.name, outcome
        except ModelbuildError as error:
            return action.name, Outcome("failed", error=error)
        finally:
            if is_empty:
                self._folders.append(reply.task.folder)
            else:
                disk.remove_tree(Path(reply.task.folder))

    def _found(self, todo: MustDiscover, reply: Reply, began_ns: int) -> Outcome | None:
        """Records what a discovery found, if it can be trusted; None: the action is to be judged again."""
        if reply.error:  # not kept: it may come from a file that an input names, which is in no key yet
            return Outcome("failed", error=self._said(todo, reply))
        paths = sorted({self._relative(path) for path in reply.found})
        try:
            found = self._changes.digests(reply.task.name, todo, paths, began_ns)
        except ModelbuildError as error:
            if error.exit_code == EXIT_FAILED:
                raise
            raise _named_by(error, reply.task) from error
        if found is not None:
            self._state.records.put(todo.key, Record(rows_of(todo.fields), discovered=found))
        return None

    def _done(self, action: Action, todo: MustRun, reply: Reply) -> Outcome:
        if reply.error:
            if reply.remember:  # a verdict on the inputs
                failure = self._marked(reply)
                record = Record(rows_of(todo.fields), failure=failure, unkeyed=digest_of(action.unkeyed))
                self._state.records.put(todo.key, record)
                self._note(action, todo, "failed")
            return Outcome("failed", error=self._said(todo, reply))
        assert reply.record is not None
        outputs = {name: Blob(*pair) for name, pair in sorted(reply.outputs.items())}
        for name, blob in outputs.items():
            place, is_flushed = f"{reply.task.folder}/out/{name}", name not in reply.doubles
            self._state.store.adopt(place, blob, is_flushed=is_flushed)
        self._state.records.adopt(todo.key, record_path(reply.task.folder))
        self._state.stat_cache.note(f"record:{todo.key}", self._state.records.place(todo.key), reply.record)
        self._note(action, todo, "run")
        return Outcome("run", outputs=outputs)

    def _marked(self, reply: Reply) -> ModelbuildError | None:
        """What the stage said, as it is kept: free of the places where things lie."""
        return reply.error and marked(reply.error, reply.task.inputs, self._state.root, reply.task.folder)

    def _said(self, todo: MustRun | MustDiscover, reply: Reply) -> ModelbuildError | None:
        kept = self._marked(reply)
        return kept and told(kept, todo.inputs)

    def _note(self, action: Action, todo: MustRun, outcome: Literal["run", "failed"]) -> None:
        last = self._state.history.get(action.name)
        entry = Entry(action.name, todo.key, last.key if last else None, outcome, todo.reason)
        self._state.history.add(entry)

    def _keep_log(self, reply: Reply) -> None:
        if reply.log is None and not self._logs:
            return
        kept = log_path(self._state.folder, reply.task.name)
        with suppress(OSError):  # a log is a comfort, not a result
            if reply.log is not None:
                _shorten(reply.log)
                disk.move(reply.log, kept)
            elif kept.name in self._logs:
                kept.unlink(missing_ok=True)

    def _relative(self, path: str) -> str:
        """A found path as it enters keys: relative to the root, wherever the checkout lies."""
        root = self._state.root
        return os.path.relpath(root / path, root).replace(os.sep, "/")


def _remove_empty(folders: list[str]) -> None:
    """Takes private folders away that hold nothing, which is quicker said one by one than found out."""
    with suppress(OSError):
        while folders:
            folder = folders.pop()
            for one in (f"{folder}/out", f"{folder}/tmp", folder):
                os.rmdir(one)  # noqa: PTH106


def _shorten(log: Path) -> None:
    """Keeps the end of a long log: a stage that prints without end must not fill the disk for good."""
    with log.open("r+b") as stream:
        if stream.seek(0, os.SEEK_END) > _LOG_LIMIT:
            stream.seek(-_LOG_LIMIT, os.SEEK_END)
            end = stream.read()
            stream.seek(0)
            stream.write(end)
            stream.truncate()


def _named_by(error: ModelbuildError, task: Task) -> ModelbuildError:
    names = ", ".join(sorted(role for role in task.inputs if not role.startswith(DISCOVERED)))
    problem = error.problems[0]
    why = f"{task.name} needs it, because its input {names} names it"
    return ModelbuildError(problem.what, why=why, advice=problem.advice, exit_code=error.exit_code)
