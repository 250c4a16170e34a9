"""Package files encrypted and opened: the objects of `modelbuild nef encrypt` and `decrypt`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.artifacts.output_place import loss_of_package, loss_of_sealed, write
from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk, nef, sealed, sealed_keys
from modelbuild.formats.mpk import Mpk
from modelbuild.formats.nef_objects import Nef
from modelbuild.formats.sealed_keys import MODES

PACKAGES = (Kind.NEF, Kind.MPK, Kind.KMODEL)
_ENDINGS = (".nef", ".kmodel", ".tar.gz")
_ONLY_HERE = (
    "modelbuild alone opens this file, with its keys: vendors' ciphers are not public, and no chip loads it"
)


def encrypt(
    path: str | Path,
    output: str | Path,
    keys: Mapping[str, str | None],
    mode: int | None = None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Write the package `path` encrypted; into a folder as `NAME.enc`. `keys` name what to encrypt with:
    {"key": "env:NAME", "key_file": PATH, "efuse_key": "env:NAME"}; the mode follows from them unless told.

    Gives the object of `nef encrypt --json`. Errors: ModelbuildError for a file that is no package or a
    damaged one, keys that are none or not the mode's, an output that is called as packages are that are not
    encrypted, and one that is not to be overwritten, unless `force`.
    """
    source = Path(path)
    _check_source(source)
    _check_name(Path(output).name)
    sources = sealed_keys.named(keys)
    secrets = sealed_keys.read(_checked(sources, mode))
    kind, notes = _package(source)
    with input_file.naming(str(source)):
        made = sealed.seal(input_file.read(source), secrets, str(kind))
    name = source.name + sealed.SUFFIX
    place = write(output, name, made, [source], force, loss_of_sealed)
    if secrets.is_short:
        notes.append("the key has less than 128 bits: all such keys can be tried; use 32 hex digits or more")
    return _told(place, made, sealed.read_header(made)) | {"silicon": None, "notes": notes}


def decrypt(
    path: str | Path, output: str | Path, keys: Mapping[str, str | None], *, force: bool = False
) -> dict[str, Any]:
    """Write the package that the encrypted file `path` holds; into a folder as `NAME` of `NAME.enc`.

    Gives the object of `nef decrypt --json`. Errors: ModelbuildError for a file that is not encrypted, keys
    that do not open it, and an output that is not to be overwritten, unless `force`.
    """
    source = Path(path)
    if identify(source) is not Kind.SEALED:
        raise ModelbuildError(
            f"{source.name} is not encrypted by modelbuild",
            where=str(source),
            advice="name a file that `modelbuild nef encrypt` or a build has written",
        )
    data = input_file.read(source)
    with input_file.naming(str(source)):
        header = sealed.read_header(data)
        sources = sealed_keys.named(keys)
        if not sources.given:
            raise ModelbuildError("the package opens with its keys only", advice=sealed.how_to_open(header))
    secrets = sealed_keys.read(sources)
    with input_file.naming(str(source)):
        opened = sealed.open_sealed(data, secrets)
    name = source.name.removesuffix(sealed.SUFFIX)
    place = write(output, name, opened, [source], force, loss_of_package)
    return _told(place, opened, header) | {"silicon": _silicon(opened, header.format), "notes": []}


def _check_source(source: Path) -> None:
    kind = identify(source)
    if kind is Kind.SEALED:
        raise ModelbuildError(
            f"{source.name} is encrypted already",
            where=str(source),
            advice="open it first to encrypt it with other keys: modelbuild nef decrypt",
        )
    if kind not in PACKAGES:
        raise ModelbuildError(
            f"{source.name} is no package",
            where=str(source),
            why=f"packages are {', '.join(PACKAGES)}",
            advice="name one of these; `modelbuild inspect` shows what a file is",
        )


def _check_name(name: str) -> None:
    """That nobody takes the file for one that a chip loads."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)
    if ending is not None:
        raise ModelbuildError(
            f"-o {name} is no name for an encrypted package",
            why=f"what ends in {ending} is taken for one that can be loaded",
            advice=f"write -o {name}{sealed.SUFFIX}",
        )


def _checked(sources: sealed_keys.Sources, mode: int | None) -> sealed_keys.Sources:
    """The sources, if they are those of the mode."""
    if not sources.given and mode is None:
        raise ModelbuildError("no keys are named", advice=f"name those {_ways()}")
    wanted = mode or (2 if sources.given == {"efuse_key"} else 1)
    for name, what in sealed_keys.wrong_combination(wanted, sources.given):
        option = sealed_keys.option(name)
        advice = f"leave {option} out" if name in sources.given else f"add {sealed_keys.WRITTEN[name]}"
        raise ModelbuildError(what.replace(f"`{name}`", option), advice=advice)
    return sources


def _ways() -> str:
    """The options of each mode."""
    needs = {mode: [name for name in sealed_keys.SECRETS if name in of[0]] for mode, of in MODES.items()}
    return ", or ".join(
        f"of mode {mode}: {' '.join(sealed_keys.WRITTEN[name] for name in names)}"
        for mode, names in needs.items()
    )


def _package(source: Path) -> tuple[Kind, list[str]]:
    """Its kind, and what is to be said of it. Raises for one that is damaged."""
    found = inspect(source)
    wrong = [item["what"] for item in found["checksums"] if not item["ok"]]
    if wrong:
        raise ModelbuildError(
            f"{source.name} is damaged: checksums do not agree",
            where=str(source),
            why=", ".join(wrong),
            advice="get the file again from where it was made; `modelbuild inspect` shows them",
        )
    failed = [item["what"] for item in found.get("checks", ()) if not item["ok"]]
    notes = [_ONLY_HERE, *(f"{source.name} is not as it should be: {what}" for what in failed)]
    return Kind(found["format"]), notes


def _silicon(data: bytes, form: str) -> bool | None:
    """Whether the programs of a package are for a chip; None where nobody knows."""
    read: Mapping[str, Callable[[bytes], Nef | Mpk]] = {"nef": nef.read, "mpk": mpk.read}
    return read[form](data).silicon if form in read else None


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
