"""A function of the user's, `tools/post.py:decode`, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from modelbuild.artifacts.function_worker import ERROR, receive, send
from modelbuild.artifacts.user_function import parted
from modelbuild.artifacts.values import decode, encode
from modelbuild.errors import ModelbuildError

_START = """
import json, sys
file, name, root, sys.path[:] = json.loads(sys.argv[1])
from modelbuild.artifacts.function_worker import serve
serve(file, name, root)
"""


class FunctionProcess:
    """A context manager: the process ends with it."""

    key: ClassVar[str] = "function"  # under which the manifest names it
    noun: ClassVar[str] = "function"

    def __init__(self, spec: str, root: Path) -> None:
        """`spec` is `FILE.py:FUNCTION`, FILE relative to `root`, the project's folder."""
        file, name = parted(spec)
        self._spec, self._root = spec, root.resolve()
        path = (self._root / file).resolve()
        if not path.is_file():
            raise ModelbuildError(
                f"the file {file} of the {self.noun} does not exist",
                where=str(path),
                advice="correct the path before the colon",
            )
        about = json.dumps([str(path), name, str(self._root), sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._root,
        )

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
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            send(self._process.stdin, encode(dict(message)))
            answer = receive(self._process.stdout)
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
                where=found["where"],
                why=found["why"],
                advice=found["advice"] or f"correct it; the outputs that it was given are {given}",
            )
        return found
