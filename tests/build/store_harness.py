"""A store filled without running anything: records under keys, their files, and notes of last builds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modelbuild.build import canonical, roots
from modelbuild.build.records import Record
from modelbuild.build.roots import About
from modelbuild.build.state import State, open_state


def key_of(name: str) -> str:
    """A key of 64 hex digits, that of the name."""
    return canonical.sha256(name.encode())


class Checkout:
    """A folder with a manifest and a state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".modelbuild"
        root.mkdir(parents=True, exist_ok=True)
        self.write("manifest", "first")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    @property
    def state(self) -> State:
        return open_state(self.root, self.folder, writable=True)

    def put(self, name: str, *outputs: bytes, used: int = 0) -> str:
        """A record under the key of `name`, written at the time `used`; returns the key."""
        state = self.state
        blobs = {f"out{index}": state.store.put(data) for index, data in enumerate(outputs)}
        state.records.put(key_of(name), Record([], outputs=blobs))
        os.utime(state.records.path(key_of(name)), (used, used))
        return key_of(name)

    def note(
        self, request: str, actions: Mapping[str, str], *, whole: bool = True, manifest: str = "manifest"
    ) -> None:
        """The last build of `request` came to these records: action -> name."""
        keys = {action: [key_of(name)] for action, name in actions.items()}
        sources = {manifest: canonical.sha256_of_file(self.root / manifest)}
        about = About(manifest, sources, whole)
        roots.note(self.folder, self.state.scratch, request, about, keys, list(actions))

    def names(self, *candidates: str) -> set[str]:
        """Those of the candidates whose record is there with all its files."""
        state = self.state
        found = ((name, state.records.get(key_of(name))) for name in candidates)
        return {name for name, record in found if record and not state.store.missing(record.outputs)}

    def is_right(self) -> bool:
        """Whether every record has its files."""
        state = self.state
        for path in (self.folder / "records").rglob("*.json"):
            record = state.records.get(path.parent.name + path.stem)
            if record is None or state.store.missing(record.outputs):
                return False
        return True
