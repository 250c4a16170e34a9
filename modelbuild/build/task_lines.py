"""Tasks as JSON lines: what is large and many tasks share, such as a chip's recipe, goes to a worker once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from modelbuild.build.key import Part
from modelbuild.build.tasks import Task

_LARGE = 4096  # bytes of a parameter's fields: what is smaller is not worth a number
_MOST = 16 << 20  # bytes that a worker keeps; with the next task it begins anew


class Sender:
    """The builder's end of one worker's tasks. Knows what the worker has, and by which number."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Part, int]] = {}  # by identity, which the part itself keeps from others
        self._bytes = 0

    def lines(self, task: Task, log: Path) -> bytes:
        """The task for a worker whose stages print to `log`, after what it lacks."""
        if self._bytes > _MOST:
            self._kept.clear()
            self._bytes = 0
        lines: list[dict[str, Any]] = []
        parameters, kept = dict(task.parameters), dict[str, int]()
        fields: list[int | str] = []
        for part in task.fields:
            if len(part.text) < _LARGE or not part.name or task.parameters.get(part.name) is not part.value:
                fields.append(part.text.decode("ascii"))
                continue
            if id(part) not in self._kept:
                lines.append(self._keep(part))
            number = self._kept[id(part)][1]
            fields.append(number)
            parameters[part.name], kept[part.name] = None, number
        message = {
            "name": task.name,
            "kind": task.kind,
            "function": task.function,
            "parameters": parameters,
            "kept": kept,
            "inputs": dict(task.inputs),
            "folder": task.folder,
            "blobs": task.blobs,
            "key": task.key,
            "fields": fields,
            "secrets": {name: os.environ[name] for name in task.secrets if name in os.environ},
            "log": str(log),
        }
        return b"".join(json.dumps(line).encode("ascii") + b"\n" for line in (*lines, message))

    def _keep(self, part: Part) -> dict[str, Any]:
        value, fields = json.dumps(part.value), part.text.decode("ascii")
        self._bytes += len(value) + len(fields)
        number = len(self._kept)
        self._kept[id(part)] = part, number
        return {"number": number, "value": value, "fields": fields}


class Receiver:
    """The worker's end."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, str]] = []  # parameters, as text for a stage may alter them; fields

    def task(self, line: bytes) -> dict[str, Any] | None:
        """The task of a line, whose `fields` are their canonical form, as bytes; None for a line that brings
        what later ones call by its number."""
        message: dict[str, Any] = json.loads(line)
        if "number" in message:
            del self._kept[message["number"] :]  # the first of all begins anew
            self._kept.append((message["value"], message["fields"]))
            return None
        for name, number in message.pop("kept").items():
            message["parameters"][name] = json.loads(self._kept[number][0])
        texts = [self._kept[one][1] if isinstance(one, int) else one for one in message["fields"]]
        message["fields"] = f"[{','.join(texts)}]".encode("ascii")
        return message
