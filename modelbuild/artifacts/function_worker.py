"""The process that runs a function of the user's: outputs in, what the function makes of them out."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from modelbuild.artifacts.user_function import top_folder
from modelbuild.artifacts.values import decode, encode
from modelbuild.errors import did_you_mean

VALUE, ERROR = b"+", b"-"  # what an answer begins with
HEAD = 8  # bytes of the length in front of a message
_MODULE = "modelbuild_postprocess"
_CALL = "it is called with the outputs by name, as a measure of accuracy `def NAME(outputs, labels)`"


def send(stream: IO[bytes], data: bytes) -> None:
    """Writes a message: its length in 8 bytes, little end first, and the message."""
    stream.write(len(data).to_bytes(HEAD, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Reads a message; None where the other side has gone."""
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    return data if len(data) == size else None


def serve(file: str, name: str, root: str, found: list[str]) -> None:
    """Answers until the standard input ends. What the function prints goes to standard error.

    The function's modules are found as in a script of its own: first in its folder, then in the project's,
    then in `found`."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _load_own()
    sys.dont_write_bytecode = True  # the project is the user's
    sys.path[:] = [*dict.fromkeys([str(top_folder(Path(file), Path(root))), root]), *found]
    function: Callable[..., Any] | None = None
    while (message := receive(requests)) is not None:
        try:
            function = function or _function(Path(file), name, Path(root))
            given = decode(message)
            answer = VALUE + encode(_called(function, given))
        except BaseException as error:  # whatever a user's code does, the other side is told
            answer = ERROR + encode(_told(error, Path(file), Path(root)))
        send(replies, answer)


def _load_own() -> None:
    """Loads what this process will need, before a file of the user's can stand in the way: `random.py`."""
    decode(encode({"array": np.zeros(1), "text": ""}))
    did_you_mean("one", ["two"])
    traceback.extract_tb(None)
    linecache.getlines(__file__)


def _module(file: Path, root: Path) -> ModuleType:
    """The file as a module under its own name, within its packages; where another module has that name, or
    it is none, under one that nothing has."""
    name = ".".join(file.relative_to(top_folder(file, root)).with_suffix("").parts)
    if "." in name:
        found = importlib.import_module(name)
        if found.__file__ is not None and Path(found.__file__) == file:
            return found
    if name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier():
        name = _MODULE
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(file: Path, name: str, root: Path) -> Callable[..., Any]:
    module = _module(file, root)
    found = getattr(module, name, None)
    if callable(found):
        wanted: Callable[..., Any] = found
        return wanted
    own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    advice = did_you_mean(name, own) or f"it has {', '.join(own) or 'none'}"
    raise _Missing(f"it defines no function `{name}`", advice)


class _Missing(Exception):
    """The function is not there; the second argument is what to do."""


def _called(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """`function(outputs)`; one that has a parameter `inputs` gets the model's inputs under that name. Given
    files of arrays, `function(outputs, labels)` of all samples, the arrays mapped and not read."""
    if "files" in given:
        outputs = {name: np.load(path, mmap_mode="r") for name, path in given["files"].items()}
        return function(outputs, given["labels"])
    takes = inspect.signature(function).parameters
    more = {"inputs": given["inputs"]} if "inputs" in takes else {}
    return function(given["outputs"], **more)


def _told(error: BaseException, file: Path, root: Path) -> dict[str, Any]:
    """What went wrong, and the last line of the user's that it went through, if it did."""
    if isinstance(error, _Missing):
        return {"what": error.args[0], "where": _shown(file, root), "why": "", "advice": error.args[1]}
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_shown(Path(error.filename), root)}:{error.lineno}"
        return {"what": told, "where": place, "why": (error.text or "").strip(), "advice": "correct it"}
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename, file, root)
    ]
    place = f"{_shown(Path(frames[-1].filename), root)}:{frames[-1].lineno}" if frames else ""
    line = (frames[-1].line or "").strip() if frames else ""
    advice = _CALL if isinstance(error, TypeError) and not frames else ""
    return {"what": told, "where": place, "why": f"in the line `{line}`" if line else "", "advice": advice}


def _is_own(name: str, file: Path, root: Path) -> bool:
    """Whether a file is the user's: theirs, or another of the project that is not an installed package's."""
    path = Path(name)
    inside = path.is_relative_to(root) and "site-packages" not in path.parts and path != Path(__file__)
    return path == file or (inside and not path.is_relative_to(Path(__file__).parent.parent))


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
