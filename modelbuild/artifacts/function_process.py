"""A function of the user's, `tools/post.py:decode`, in a process of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from modelbuild.artifacts.function_worker import ERROR, HEAD, send
from modelbuild.artifacts.user_function import TIMEOUT_SECONDS, parted
from modelbuild.artifacts.values import decode, encode
from modelbuild.errors import ModelbuildError

_START = """
import json, sys
file, name, root, sys.path[:], found = json.loads(sys.argv[1])
from modelbuild.artifacts.function_worker import serve
serve(file, name, root, found)
"""
_INSTALLED = ("site-packages", "dist-packages")
_BLOCK = 1 << 20


def importable(entries: Sequence[str], hidden: Path | None) -> list[str]:
    """Those entries of `sys.path` that a function may import from: none at or under the folder `hidden`,
    save what is installed there, as in a project's own `.venv`."""
    if hidden is None:
        return list(entries)
    folder = hidden.resolve()
    inside = [path for path in _installations() if path.is_relative_to(folder) and path != folder]

    def is_hidden(entry: str) -> bool:
        path = Path(entry).resolve()
        if not path.is_relative_to(folder) or any(path.is_relative_to(one) for one in inside):
            return False
        return not any(part in _INSTALLED for part in path.relative_to(folder).parts)

    return [entry for entry in entries if not is_hidden(entry)]


def _installations() -> list[Path]:
    return [Path(prefix).resolve() for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]


class FunctionProcess:
    """A context manager: the process ends with it."""

    key: ClassVar[str] = "function"  # under which the manifest names it
    noun: ClassVar[str] = "function"

    def __init__(
        self,
        spec: str,
        root: Path,
        *,
        hidden: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        secrets: Collection[str] = (),
    ) -> None:
        """`spec` is `FILE.py:FUNCTION`, FILE relative to `root`, the project's folder or a copy of it; then
        nothing is imported from `hidden`, the project's own. A call that takes longer than
        `timeout_seconds` is ended. The variables `secrets` of the environment are kept from it."""
        file, name = parted(spec)
        self._timeout = timeout_seconds
        self._spec, self._root = spec, root.resolve()
        path = (self._root / file).resolve()
        if not path.is_file():
            raise ModelbuildError(
                f"the file {file} of the {self.noun} does not exist",
                where=str(path),
                advice="correct the path before the colon",
            )
        about = json.dumps([str(path), name, str(self._root), sys.path, importable(sys.path, hidden)])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._root,
            env={name: value for name, value in os.environ.items() if name not in secrets},
        )

    @property
    def place(self) -> str:
        """What an error names that comes from no line of the user's."""
        return parted(self._spec)[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        if kind is not None:
            self._process.kill()
        with suppress(BrokenPipeError):  # a process that has ended takes no last bytes
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, message: Mapping[str, Any], shapes: Mapping[str, Any]) -> Any:
        """What the function makes of the message. Raises (exit 2) with the user's own line where it fails;
        `shapes` are those of the outputs that it was given."""
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, encode(dict(message)))
            answer = self._answer()
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise ModelbuildError(
                f"the process of the {self.noun} {self._spec} ended with code {self._process.wait()}",
                why="the function or something that it imports ended it",
            )
        found = decode(answer[1:])
        if answer[:1] == ERROR:
            given = ", ".join(f"`{name}` {list(shape)}" for name, shape in shapes.items())
            raise ModelbuildError(
                f"{self.key} {self._spec}: {found['what']}",
                where=found["where"] or self.place,
                why=found["why"],
                advice=found["advice"] or f"correct it; the outputs that it was given are {given}",
            )
        return found

    def _answer(self) -> bytes | None:
        """The next message of the process; None where it has ended. Raises (exit 2) where the time is up, for
        then nothing says that the function will ever come back."""
        deadline = time.monotonic() + self._timeout
        head = self._read(HEAD, deadline)
        return None if head is None else self._read(int.from_bytes(head, "little"), deadline)

    def _read(self, size: int, deadline: float) -> bytes | None:
        """So many bytes; not through the stream, whose reads wait for ever."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0.0 or not select.select([descriptor], [], [], left)[0]:
                self._process.kill()
                raise self._too_slow()
            block = os.read(descriptor, min(size - len(data), _BLOCK))
            if not block:
                return None
            data += block
        return bytes(data)

    def _too_slow(self) -> ModelbuildError:
        return ModelbuildError(
            f"{self.key} {self._spec} has not come back after {self._timeout:g} seconds, and was ended",
            why="one call may take so long",
            advice="does it wait for something, or never end? If it only needs longer: "
            "`verify: {timeout_seconds: SECONDS}`",
            passing=True,
        )
