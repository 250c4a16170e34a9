"""A user's postprocessing function, `tools/post.py:decode`, run in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from modelbuild.artifacts.postprocess_worker import ERROR, receive, send
from modelbuild.artifacts.user_function import parted
from modelbuild.artifacts.values import decode, encode
from modelbuild.errors import ModelbuildError

_START = """
import json, sys
file, name, root, sys.path[:] = json.loads(sys.argv[1])
from modelbuild.artifacts.postprocess_worker import serve
serve(file, name, root)
"""
Arrays = Mapping[str, NDArray[Any]]


class Postprocess:
    """Calls the function with the outputs of one sample after another. A context manager: the process ends
    with it."""

    def __init__(self, spec: str, root: Path) -> None:
        """`spec` is `FILE.py:FUNCTION`, FILE relative to `root`, the project's folder."""
        file, name = parted(spec)
        self._spec, self._root = spec, root.resolve()
        path = (self._root / file).resolve()
        if not path.is_file():
            raise ModelbuildError(
                f"the file {file} of the postprocessing does not exist",
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

    def __call__(self, outputs: Arrays, inputs: Arrays) -> Any:
        """What the function makes of the outputs: JSON values and arrays. Raises (exit 2) with the user's own
        line where the function fails, and where it gives something else."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            send(self._process.stdin, encode({"outputs": dict(outputs), "inputs": dict(inputs)}))
            answer = receive(self._process.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise ModelbuildError(
                f"the process of the postprocessing {self._spec} ended with code {self._process.wait()}",
                why="the function or something that it imports ended it",
            )
        found = decode(answer[1:])
        if answer[:1] == ERROR:
            given = ", ".join(f"`{name}` {list(array.shape)}" for name, array in outputs.items())
            raise ModelbuildError(
                f"postprocess {self._spec}: {found['what']}",
                where=found["where"],
                why=found["why"],
                advice=found["advice"] or f"correct it; the outputs that it was given are {given}",
            )
        return found
