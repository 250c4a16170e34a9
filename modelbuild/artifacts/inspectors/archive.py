"""Tar and ZIP archives as `inspect` shows them; and the rules, checksums and parts of any container."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.errors import ModelbuildError
from modelbuild.formats import npy, tar, zip_archive
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.parts import Part, covered


def describe_tar(path: Path) -> dict[str, Any]:
    """The members of a tar or .tar.gz. Errors: ModelbuildError for what is no complete archive."""
    with input_file.sliced(path) as data:
        found = tar.survey(data)
        is_canonical = found.is_canonical(data)
    return {
        "version": None,
        "silicon": None,
        "packed": "gzip" if found.packed else "no",
        "checksums": checksums(found.checksums),
        "checks": checks(found.checks),
        "normalised": is_canonical,
        "members": tar_members(found),
        "models": [],
        **tar_parts(found, len(data)),
    }


def describe_zip(path: Path) -> dict[str, Any]:
    """The members of a ZIP, and what the headers of .npy arrays say. Errors: as `describe_tar`."""
    data = input_file.read(path)
    found = zip_archive.survey(data)
    lacks = path.name.endswith(".sima")  # one with its .yaml is told as such
    rule = [Check("a .sima holds a .yaml", False, "there is none in it")] if lacks else []
    return {
        "version": None,
        "silicon": None,
        "comment": found.comment or None,
        "checksums": checksums(found.checksums),
        "checks": checks([*found.checks, *rule]),
        "members": zip_members(found),
        "arrays": [_array(found, entry) for entry in found.members if entry.path.endswith(".npy")],
        "models": [],
        "parts": parts(found.parts, len(data)),
    }


def tar_members(found: tar.Tar) -> list[dict[str, Any]]:
    """Every entry, with the digest of those that may be unpacked, and of the header what is unusual."""
    return [
        {
            "name": entry.name,
            "size": entry.size,
            "sha256": entry.sha256 if entry.path else None,
            "kind": None if entry.kind == "file" else entry.kind,
            "link": entry.header.link or None,
            "mode": None if entry.header.mode is None else f"{entry.header.mode:04o}",
            "time": entry.header.time,
            "owner": _owner(entry.header.user_name, entry.header.user),
            "group": _owner(entry.header.group_name, entry.header.group),
        }
        for entry in found.entries
    ]


def tar_parts(found: tar.Tar, size: int) -> dict[str, Any]:
    """`parts` of the file, and `unpacked` with those of the tar where a gzip packs it."""
    described: dict[str, Any] = {"parts": parts(found.parts, size)}
    if found.packed:
        inner = parts(found.unpacked_parts, found.unpacked_size)
        described["unpacked"] = {"size": found.unpacked_size, "parts": inner}
    return described


def zip_members(found: zip_archive.Zip) -> list[dict[str, Any]]:
    """Every entry, with the digest of those that can be unpacked."""
    return [
        {
            "name": entry.name,
            "size": entry.size,
            "sha256": hashlib.sha256(found.content(entry)).hexdigest() if entry.path else None,
            "kind": None if entry.kind == "file" else entry.kind,
            "packed": entry.packed,
        }
        for entry in found.entries
    ]


def checks(found: Iterable[Check]) -> list[dict[str, Any]]:
    """The list `checks`: `why` is null where a rule is kept."""
    return [{"what": item.what, "ok": item.ok, "why": None if item.ok else item.why} for item in found]


def checksums(found: Iterable[Checksum]) -> list[dict[str, Any]]:
    """The list `checksums`."""
    return [
        {"what": item.what, "stored": item.stored, "computed": item.computed, "ok": item.ok} for item in found
    ]


def parts(found: Sequence[Part], size: int) -> list[dict[str, Any]]:
    """The list `parts`, in which every byte is accounted for."""
    return [
        {"offset": part.offset, "size": part.size, "what": part.what, "known": part.known}
        for part in covered(found, size)
    ]


def _owner(name: str, number: int | None) -> str | None:
    """A name, or else a number; nothing for a number of 0 without a name."""
    return name or (str(number) if number else None)


def _array(found: zip_archive.Zip, entry: zip_archive.Entry) -> dict[str, Any]:
    try:
        header = npy.read(found.content(entry, npy.MAX_HEADER + 12), entry.path)
    except ModelbuildError as error:
        return {"name": entry.path, "unreadable": error.problems[0].what}
    return {
        "name": entry.path.removesuffix(".npy"),
        "shape": list(header.shape),
        "dtype": header.dtype,
        "size": header.size,
    }
