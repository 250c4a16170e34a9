"""Measured lines in a folder, so that a long run can be ended and taken up again.

A line is found again under a digest of all that it depends on: the declared network with the content of its
files, what the tool is told, and the sources of the bench and of modelbuild. Not of the machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.digest import digest, files
from bench.quantizers import declared
from bench.quantizers.measured import Measured
from bench.quantizers.scores import Score
from bench.quantizers.tools import DRIVERS, ENVIRONMENTS, Ours, Peer
from bench.tools import ROOT

_BENCH = (Path(__file__).parent,)
_JUDGE = (ROOT / "modelbuild/samples", ROOT / "modelbuild/quantize/measure.py")  # that peers' lines depend on
_OURS = (ROOT / "modelbuild", ROOT / "recipes")


class Kept:
    """The lines of one network; without a folder, nothing is found and nothing kept."""

    def __init__(
        self, folder: Path | None, network: declared.Network, folders: Sequence[Path], most: int | None
    ) -> None:
        self._folder = folder
        calibration = declared.gather(network.calibration, folders)
        evaluation = declared.gather(network.evaluation, folders, most, set(calibration.files))
        self.samples = len(calibration.files), len(evaluation.files)
        paths = [declared.locate(network.file, folders), *calibration.files, *evaluation.files]
        self._network = (
            None if folder is None else [network.model_dump(mode="json"), evaluation.labels, digest(paths)]
        )

    def line(self, tool: Peer | Ours) -> Measured | None:
        """The line of a tool, if it was measured. One without a score is measured again."""
        found = self._read(self._key(tool))
        return None if found is None else Measured(tool, Score(**found.pop("score")), **found)

    def keep(self, line: Measured) -> None:
        """Writes a line that has a score."""
        if line.score is not None:
            fields = {key: getattr(line, key) for key in ("seconds", "peak_mb", "versions")}
            self._write(self._key(line.tool), {"score": dataclasses.asdict(line.score), **fields})

    def reference(self) -> Score | None:
        """The float model's own score."""
        found = self._read(self._key(None))
        return None if found is None else Score(**found)

    def keep_reference(self, score: Score) -> None:
        """Writes it."""
        self._write(self._key(None), dataclasses.asdict(score))

    def _key(self, tool: Peer | Ours | None) -> str:
        if self._folder is None:
            return ""
        told: Any = tool
        sources = [*_BENCH, *(_OURS if isinstance(tool, Ours) else _JUDGE)]
        if isinstance(tool, Peer):
            told = [tool.name, tool.scheme, ENVIRONMENTS.get(tool.environment), tool.settings]
            sources += [tool.driver, DRIVERS]
        elif isinstance(tool, Ours):
            told = dataclasses.asdict(tool)
        text = json.dumps([self._network, told, digest(files(sources))], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _read(self, key: str) -> Any:
        path = None if self._folder is None else self._folder / f"{key}.json"
        return None if path is None or not path.exists() else json.loads(path.read_text(encoding="utf-8"))

    def _write(self, key: str, fields: Any) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = self._folder / f"{key}.partial"
            partial.write_text(json.dumps(fields, indent=1, sort_keys=True), encoding="utf-8")
            partial.replace(self._folder / f"{key}.json")
