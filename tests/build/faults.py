"""A disk that fails on demand: replaces what `os` and `io.open` hold in this process, below one folder.

Production code has no hook for it, and whatever a room does with files is reached, through pathlib too.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import shutil  # noqa: F401 - it looks at `os` when it is imported, so that must come first
import tempfile  # noqa: F401 - as above
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

CRASHED = 77  # exit status of a process that "lost its power"
# operation -> whether a full disk can refuse it
OPERATIONS = {
    "open": True,
    "write": True,
    "read": False,
    "fsync": True,
    "rename": True,
    "mkdir": True,
    "unlink": False,
    "rmdir": False,
    "chmod": False,
    "stat": False,
    "listdir": False,
}


@dataclass(frozen=True)
class Fault:
    """The `at`th operation below `below` (from 1) fails; 0: none, operations are only counted.

    `kind` is an errno's name; `crash` ends the process there and then; `power` also loses what was written
    and not flushed. `lasts` makes every later operation fail too, a full disk only those that need space.
    """

    below: str
    at: int = 0
    kind: str = "EIO"
    lasts: bool = False

    def to_environment(self) -> str:
        """For TEST_FAULT, which the workers' sitecustomize reads."""
        return json.dumps(asdict(self))


class Injector:
    """Counts the operations of this process below the folder, and fails those it was told to."""

    def __init__(self, fault: Fault, log: str | None = None) -> None:
        self.fault = fault
        self.count = 0
        self.seen: list[str] = []
        self._log = log
        self.struck = ""  # the operation and the file that failed first
        self._descriptors: dict[int, str] = {}
        self._unflushed: set[tuple[int, int]] = set()
        self._os: dict[str, Callable[..., Any]] = {
            name: getattr(os, name)
            for name in (*_BY_PATH, "open", "fsync", "write", "read", "fstat", "close")
        }

    def install(self) -> Injector:
        """Replaces the functions; there is no way back but the end of the process."""
        for name, operation in _BY_PATH.items():
            setattr(os, name, self._by_path(name, operation))
        for name, operation in {"fsync": "fsync", "write": "write", "read": "read", "fstat": "stat"}.items():
            setattr(os, name, self._by_descriptor(name, operation))
        os.open = self._open_descriptor
        os.close = self._close
        io.open = builtins.open = self._open  # type: ignore[assignment]
        return self

    def strike(self, operation: str, path: str, half: Callable[[], None] | None = None) -> None:
        """Counts the operation, and fails it if it is its turn; `half` does the first part of it then."""
        self.count += 1
        fault = self.fault
        self.seen.append(f"{operation} {os.path.relpath(path, fault.below)}")
        if self._log is not None:
            with _REAL_OPEN(self._log, "a") as stream:
                stream.write(self.seen[-1] + "\n")
        again = fault.lasts and 0 < fault.at < self.count
        if fault.kind == "ENOSPC":
            again = again and OPERATIONS[operation]
        if self.count != fault.at and not again:
            return
        self.struck = self.struck or self.seen[-1]
        if half is not None:
            half()
        if fault.kind in ("crash", "power"):
            if fault.kind == "power":
                self._lose_power()
            os._exit(CRASHED)
        number = getattr(errno, fault.kind)
        if operation in ("write", "read", "fsync"):  # of a descriptor the system names no file
            raise OSError(number, os.strerror(number))
        raise OSError(number, os.strerror(number), path)

    def wrote(self, descriptor: int) -> None:
        """Remembers that the file has bytes that no fsync has brought to the disk."""
        found = self._os["fstat"](descriptor)
        self._unflushed.add((found.st_dev, found.st_ino))

    def _lose_power(self) -> None:
        """The worst of a journalling file system: names are kept, bytes that were not flushed are lost."""
        for folder, _, names in os.walk(self.fault.below):
            for name in names:
                path = f"{folder}/{name}"
                found = self._os["lstat"](path)
                if (found.st_dev, found.st_ino) in self._unflushed:
                    self._os["chmod"](path, 0o644)
                    self._os["truncate"](path, found.st_size // 2)

    def _watched(self, path: Any, folder: int | None = None) -> str | None:
        if isinstance(path, int):
            return self._descriptors.get(path)
        if folder is not None:
            base = self._descriptors.get(folder)
            return f"{base}/{os.fspath(path)}" if base else None
        full = os.path.normpath(Path.cwd() / os.fsdecode(path))
        inside = full == self.fault.below or full.startswith(self.fault.below + os.sep)
        return full if inside else None

    def _by_path(self, name: str, operation: str) -> Callable[..., Any]:
        original = self._os[name]

        @wraps(original)
        def call(path: Any = ".", *rest: Any, **more: Any) -> Any:
            folder = next((more[key] for key in ("dir_fd", "src_dir_fd") if more.get(key) is not None), None)
            watched = self._watched(path, folder)
            if watched is not None:
                self.strike(operation, watched)
            return original(path, *rest, **more)

        return call

    def _by_descriptor(self, name: str, operation: str) -> Callable[..., Any]:
        original = self._os[name]

        @wraps(original)
        def call(descriptor: int, *rest: Any) -> Any:
            watched = self._descriptors.get(descriptor)
            if watched is not None:
                self.strike(operation, watched)
                if operation == "write":
                    self.wrote(descriptor)
            result = original(descriptor, *rest)
            if watched is not None and operation == "fsync":
                found = self._os["fstat"](descriptor)
                self._unflushed.discard((found.st_dev, found.st_ino))
            return result

        return call

    def _open_descriptor(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        watched = self._watched(path, dir_fd)
        if watched is not None:
            self.strike("open", watched)
        descriptor: int = self._os["open"](path, flags, mode, dir_fd=dir_fd)
        if watched is not None:
            self._descriptors[descriptor] = watched
        return descriptor

    def _close(self, descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        self._os["close"](descriptor)

    def _open(self, file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        watched = self._watched(file)
        if watched is None:
            return _REAL_OPEN(file, mode, *rest, **more)
        if not isinstance(file, int):  # a descriptor's opening has been counted
            self.strike("open", watched)
        raw = _File(self, file, watched, mode.replace("b", "").replace("t", ""))
        if (rest[0] if rest else more.get("buffering")) == 0:
            return raw
        buffered: Any
        if "+" in mode:
            buffered = io.BufferedRandom(raw)
        else:
            buffered = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        names = ("encoding", "errors", "newline")
        given = dict(zip(names, rest[1:], strict=False))
        return io.TextIOWrapper(buffered, **{**given, **{name: more[name] for name in names if name in more}})


class _File(io.FileIO):
    """A file whose reads and writes are counted as they reach the system, behind Python's buffers."""

    def __init__(self, injector: Injector, file: Any, path: str, mode: str) -> None:
        super().__init__(file, mode)
        self._injector = injector
        self._path = path
        injector._descriptors[self.fileno()] = path

    def close(self) -> None:
        if not self.closed:
            self._injector._descriptors.pop(self.fileno(), None)
        super().close()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")

        def half() -> None:
            self._injector.wrote(self.fileno())
            super(_File, self).write(view[: len(view) // 2])

        self._injector.strike("write", self._path, half)
        self._injector.wrote(self.fileno())
        return super().write(data)

    def readinto(self, buffer: Any) -> int:
        self._injector.strike("read", self._path)
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._injector.strike("read", self._path)
        return super().readall()

    def read(self, size: int | None = -1, /) -> Any:
        if size is None or size < 0:
            return self.readall()
        self._injector.strike("read", self._path)
        return super().read(size)


_REAL_OPEN = io.open
_BY_PATH = {
    "stat": "stat",
    "lstat": "stat",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "unlink": "unlink",
    "remove": "unlink",
    "rename": "rename",
    "replace": "rename",
    "link": "rename",
    "symlink": "open",
    "chmod": "chmod",
    "utime": "chmod",
    "listdir": "listdir",
    "scandir": "listdir",
    "truncate": "write",
}


def install_from_environment() -> None:
    """For workers: installs the fault of TEST_FAULT; the file TEST_FAULT_LOG gets a line an operation."""
    told = os.environ.get("TEST_FAULT")
    if told:
        Injector(Fault(**json.loads(told)), os.environ.get("TEST_FAULT_LOG")).install()
