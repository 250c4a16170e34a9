"""Package files encrypted and opened: the objects of `modelbuild nef encrypt` and `decrypt`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild import whole_file
from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.artifacts.output_place import check_place, is_simulated_or_sealed
from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed, sealed_keys

PACKAGES = (Kind.NEF, Kind.MPK, Kind.KMODEL)


def encrypt(
    path: str | Path,
    output: str | Path,
    keys: Mapping[str, str | None],
    mode: int | None = None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Write the package `path` encrypted. `keys` name what to encrypt with: {"key": "env:NAME", "key_file":
    PATH, "efuse_key": "env:NAME"}; the mode follows from them unless told.

    Gives the object of `nef encrypt --json`. Errors: ModelbuildError for a file that is no package, keys that
    are none or not the mode's, and an output that is not to be overwritten, unless `force`.
    """
    source, place = Path(path), Path(output)
    kind = identify(source)
    if kind is Kind.SEALED:
        raise ModelbuildError(f"{source.name} is encrypted already", where=str(source))
    if kind not in PACKAGES:
        raise ModelbuildError(
            f"{source.name} is no package", where=str(source), why=f"packages are {', '.join(PACKAGES)}"
        )
    sources = sealed_keys.named(keys)
    wanted = mode or (2 if sources.given == {"efuse_key"} else 1)
    for name, what in sealed_keys.wrong_combination(wanted, sources.given):
        option = sealed_keys.option(name)
        advice = f"leave {option} out" if name in sources.given else f"add {option}"
        raise ModelbuildError(what.replace(f"`{name}`", option), advice=advice)
    secrets = sealed_keys.read(sources)
    made = sealed.seal(_bytes(source), secrets, str(kind))
    check_place(place, [source], force, is_simulated_or_sealed)
    _write(place, made)
    notes = []
    if secrets.is_short:
        notes.append("the key has less than 128 bits: all such keys can be tried; use 32 hex digits or more")
    return _told(place, made, sealed.read_header(made)) | {"notes": notes}


def decrypt(
    path: str | Path, output: str | Path, keys: Mapping[str, str | None], *, force: bool = False
) -> dict[str, Any]:
    """Write the package that the encrypted file `path` holds.

    Gives the object of `nef decrypt --json`. Errors: ModelbuildError for a file that is not encrypted, keys
    that do not open it, and an output that is not to be overwritten, unless `force`.
    """
    source, place = Path(path), Path(output)
    if identify(source) is not Kind.SEALED:
        raise ModelbuildError(f"{source.name} is not encrypted by modelbuild", where=str(source))
    data = _bytes(source)
    try:
        header = sealed.read_header(data)
        sources = sealed_keys.named(keys)
        if not sources.given:
            raise ModelbuildError("the package opens with its keys only", advice=sealed.how_to_open(header))
        opened = sealed.open_sealed(data, sealed_keys.read(sources))
    except ModelbuildError as error:
        problems = (problem._replace(where=problem.where or str(source)) for problem in error.problems)
        raise ModelbuildError.of(problems, error.exit_code) from None
    check_place(place, [source], force, is_simulated_or_sealed)
    _write(place, opened)
    return _told(place, opened, header) | {"notes": []}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelbuildError(
            f"{path.name} cannot be read", where=str(path), why=error.strerror or str(error)
        ) from None


def _write(place: Path, data: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(place, data)


def _told(place: Path, data: bytes, header: sealed.Header) -> dict[str, Any]:
    return {
        "ok": True,
        "path": str(place),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "mode": header.mode,
        "needs": list(header.needs),
        "format": header.format,
    }
