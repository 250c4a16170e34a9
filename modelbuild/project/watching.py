"""`watch`: build, wait until something that the build rests on looks otherwise, and build again."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Never, Self

from watchfiles._rust_notify import RustNotify

from modelbuild.build.interrupts import dropped
from modelbuild.errors import ModelbuildError
from modelbuild.project.watch_places import Look, Places, changes, of_manifest

_TOGETHER_MS = 1600  # changes of so long are one change, if no pause comes before
_PAUSE_MS = 100
_POLL_MS = 300


@dataclass(frozen=True)
class Watched:
    """What a watch needs to be told.

    `places` loads the project and says what a build of it rests on; `build` builds and tells what it does;
    both raise ModelbuildError, which `failed` tells of. `changed` tells of the paths that look otherwise,
    `ready` that all is built and watched, in so many folders."""

    manifest: Path
    places: Callable[[], Places]
    build: Callable[[], object]
    failed: Callable[[ModelbuildError], None]
    changed: Callable[[list[str]], None]
    ready: Callable[[int], None]


def watch(watched: Watched) -> Never:
    """Goes on until KeyboardInterrupt.

    Events of the file system only say when to look. What changed is told by comparing looks, the first of
    which was taken before the project was loaded: so nothing is missed, whenever it changes."""
    places = of_manifest(watched.manifest)
    while True:
        places, before = _round(watched, places, places.look())
        with _Listener(places.folders, watched.failed) as listener:
            found = changes(before, places.look())
            if not found:
                watched.ready(len(listener.folders))
            while not found:
                listener.wait()
                listener.listen()
                found = changes(before, places.look())
        watched.changed(found)


def _round(watched: Watched, places: Places, before: Look) -> tuple[Places, Look]:
    """Loads and builds; returns what that rested on, and how it looked before."""
    try:
        known = watched.places()
    except ModelbuildError as error:
        wider = places | of_manifest(watched.manifest)
        before = {**wider.look(), **before}
        if wider != places:  # what is watched only now may have been mended since it was loaded
            return _round(watched, wider, before)
        watched.failed(error)
        return wider, before
    first = known.look()
    before = {path: before.get(path, now) for path, now in first.items()}
    try:
        watched.build()
        discovered = watched.places().discovered - known.files
    except ModelbuildError as error:
        watched.failed(error)
        return known, before
    found = replace(known, files=known.files | discovered)
    return found, {**found.look_at(discovered), **before}


class _Listener(AbstractContextManager["_Listener"]):
    """Hears of changes of the entries of folders, from when it is made."""

    def __init__(self, wanted: Callable[[], list[str]], failed: Callable[[ModelbuildError], None]) -> None:
        self.folders: list[str] = []
        self._wanted = wanted
        self._failed = failed
        self._polls = _polls()
        self._notify: RustNotify | None = None
        self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._notify is not None:
            self._notify.close()

    def listen(self) -> None:
        """Takes the folders anew: one that was made again under its old name is another to the kernel."""
        old = self._notify
        while self._notify is old:
            self.folders = self._wanted()
            try:
                self._notify = self._open()
            except FileNotFoundError:
                continue  # one went away in between
            except (OSError, RuntimeError) as error:
                if self._polls:
                    raise
                self._polls = True
                self._failed(_told(error))
        if old is not None:
            old.close()

    def wait(self) -> None:
        """Blocks until something has changed and no more comes for a moment. Raises KeyboardInterrupt."""
        assert self._notify is not None
        if self._notify.watch(_TOGETHER_MS, _PAUSE_MS, 0, None) == "signal":
            raise dropped()

    def _open(self) -> RustNotify:
        delay = os.environ.get("WATCHFILES_POLL_DELAY_MS", "")
        poll_ms = int(delay) if delay.isdecimal() else _POLL_MS
        return RustNotify(self.folders, False, self._polls, poll_ms, False, True)


def _told(error: Exception) -> ModelbuildError:
    return ModelbuildError(
        "the system does not tell of changes, so files are looked at several times a second",
        why=str(error),
        advice="where the limit is meant, raise fs.inotify.max_user_watches or max_user_instances",
    )


def _polls() -> bool:
    """As watchfiles decides it: its variable, or WSL, whose file systems tell nothing."""
    wanted = os.environ.get("WATCHFILES_FORCE_POLLING", "")
    if wanted:
        return wanted.lower() not in {"false", "disable", "disabled"}
    return "microsoft-standard" in platform.uname().release
