"""What is known under a key: outputs, found files or a failure. One sealed file a record, written last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.key import Fields
from modelbuild.build.store import Blob
from modelbuild.errors import ModelbuildError

SCHEMA = 1


class Record(NamedTuple):
    """The result of one action, or of one `discover` call (`discovered`: root-relative path -> digest).

    With a failure stands the digest of the action's `unkeyed` parameters: what is said may depend on them."""

    fields: Fields
    outputs: Mapping[str, Blob] = {}
    discovered: Mapping[str, str] = {}
    failure: ModelbuildError | None = None
    unkeyed: str = ""


def digest_of(unkeyed: Mapping[str, Any]) -> str:
    """What a failure's record says of the parameters that are in no key; nothing where there are none."""
    return canonical.sha256(canonical.encode(unkeyed)) if unkeyed else ""


class Records:
    """Key -> record. An unknown schema or a damaged file is a miss."""

    def __init__(self, folder: Path, scratch: Path, writable: bool) -> None:
        self._folder = str(folder)
        self._scratch = scratch
        self._writable = writable

    def get(self, key: str) -> Record | None:
        """The record, or None; a damaged one is set aside as `*.bad`. Raises ModelbuildError (exit 1)."""
        data = disk.read(self.place(key))
        if data is None:
            return None
        try:
            content = disk.unseal(data)
        except disk.Damaged:
            content = {"schema": SCHEMA, "key": ""}
        if content["schema"] != SCHEMA:
            return None
        if content["key"] != key:
            if self._writable:
                disk.set_aside(self.path(key))
            return None
        return _from_json(content)

    def put(self, key: str, record: Record) -> None:
        """Writes the record whole. Raises ModelbuildError (exit 1)."""
        disk.write(self.path(key), encode(key, record), self._scratch)

    def adopt(self, key: str, private: disk.Place) -> None:
        """Renames a file that a worker has written, with what `encode_with` gives, and flushed.

        Raises ModelbuildError (exit 1)."""
        path = self.place(key)
        try:
            disk.move(private, path)
        except OSError as error:
            raise disk.failure("write", path, error) from error

    def path(self, key: str) -> Path:
        """Where the record lies, whether or not it is there."""
        return Path(self.place(key))

    def place(self, key: str) -> str:
        """The same as text."""
        return f"{self._folder}/{key[:2]}/{key[2:]}.json"


def encode(key: str, record: Record) -> bytes:
    """The sealed bytes of a record's file."""
    return encode_with(canonical.encode(record.fields), key, record)


def encode_with(fields: bytes, key: str, record: Record) -> bytes:
    """As `encode`, where the canonical form of the record's fields is there already: they are most of it, and
    the record's own are not looked at."""
    before = {
        "discovered": dict(record.discovered),
        "failure": record.failure.to_json() if record.failure else None,
    }
    after = {
        "key": key,
        "outputs": {name: [blob.digest, blob.size] for name, blob in record.outputs.items()},
        "schema": SCHEMA,
        **({"unkeyed": record.unkeyed} if record.unkeyed else {}),
    }
    parts = canonical.encode(before)[:-1], b',"fields":', fields, b",", canonical.encode(after)[1:]
    return disk.seal_body(b"".join(parts))


def _from_json(content: Mapping[str, Any]) -> Record:
    failure = content["failure"]
    return Record(
        fields=[(tuple(path), value) for path, value in content["fields"]],
        outputs={name: Blob(*pair) for name, pair in content["outputs"].items()},
        discovered=content["discovered"],
        failure=ModelbuildError.from_json(failure) if failure else None,
        unkeyed=content.get("unkeyed", ""),
    )
