"""NEF files combined, taken apart and edited: the objects of `modelbuild nef --json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild import __version__, whole_file
from modelbuild.artifacts.output_place import check_place, is_simulated
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef, nef_combine, nef_edit, nef_extract, nef_generate, sealed
from modelbuild.formats.nef_generations import SIMULATED
from modelbuild.formats.nef_objects import Nef


def combine(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    drop_unknown: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Write the models of several NEFs into one, `output`; a folder (one that is there, or a name that ends
    in a slash) takes it as `models_<chip>.nef`, or as `models_<chip>.sim.nef` where the programs are for
    modelbuild's simulator.

    Gives the object of `nef combine --json`. Errors: ModelbuildError as of `formats.nef_combine.combine`, and
    for an output that would overwrite what modelbuild has not made, unless `force`.
    """
    files = [Path(path) for path in paths]
    read = [_read(path) for path in files]
    made = nef_combine.combine(read, [str(path) for path in files], drop_unknown=drop_unknown)
    written = _write(made, output, files, force)
    sources = {model.id: str(path) for path, one in zip(files, read, strict=True) for model in one.models}
    notes = _notes(made) if len(files) > 1 else []
    return {**written, **_described(made, sources), "notes": notes}


def extract(
    path: str | Path, folder: str | Path, ids: Sequence[int] = (), *, force: bool = False
) -> dict[str, Any]:
    """Write the binaries in a NEF into `folder`, those of the models `ids` or of all.

    Gives the object of `nef extract --json`. Errors: ModelbuildError for a file that cannot be read,
    checksums that do not agree, ids that no model has, and files that are there already, unless `force`.
    """
    source, folder = Path(path), Path(folder)
    one = _read(source)
    nef.check(one, str(source))
    found = nef_extract.files(one, tuple(ids))
    if folder.exists() and not folder.is_dir():
        raise ModelbuildError(f"{folder.name} is not a folder", where=f"-o {folder}")
    there = [name for name in found if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not force:
        raise ModelbuildError(
            f"there are files of these names already: {', '.join(there[:3])}{' …' if there[3:] else ''}",
            where=str(folder),
            advice="name another folder with -o, or add --force to replace them",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        whole_file.write(folder / name, data)
    files = [_written(folder / name, data) for name, data in found.items()]
    return {"ok": True, "folder": str(folder), **_described(one, {}), "files": files}


def edit(
    path: str | Path,
    output: str | Path,
    ids: Mapping[int, int] | None = None,
    versions: Mapping[int, int] | None = None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Write a NEF with other ids (old -> new) and versions (old id -> version), its checksums made anew.

    Gives the object of `nef set --json`. Errors: ModelbuildError as of `formats.nef_edit.edited`, and for an
    output that would overwrite what modelbuild has not made, unless `force`.
    """
    source = Path(path)
    made = nef_edit.edited(_read(source), ids, versions)
    written = _write(made, output, [source], force)
    return {**written, **_described(made, {})}


def generate(
    paths: Sequence[str | Path], output: str | Path, chip: str, *, force: bool = False
) -> dict[str, Any]:
    """Write a NEF for `chip` ("kl720" for instance) around a `fw_info.bin` and an `all_models.bin`, in this
    order, or around a `.kne`.

    Gives the object of `nef generate --json`. Errors: ModelbuildError as of `formats.nef_generate.generated`,
    and for an output that would overwrite what modelbuild has not made, unless `force`.
    """
    files = [Path(path) for path in paths]
    if len(files) not in (1, 2):
        raise ModelbuildError(
            f"a NEF is not generated from {len(files)} files",
            advice="name a .kne, or fw_info.bin and all_models.bin",
        )
    *firmware, all_models = [_bytes(path) for path in files]
    own = f"modelbuild/{__version__}"
    made = nef_generate.generated(
        chip.lower().removeprefix("kl"), all_models, b"".join(firmware), own_toolchain=own
    )
    written = _write(made, output, files, force)
    return {**written, **_described(made, {})}


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise ModelbuildError(f"{path.name or path} is not a regular file", where=str(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelbuildError(
            f"{path.name or path} cannot be read", where=str(path), why=error.strerror or str(error)
        ) from None


def _read(path: Path) -> Nef:
    data = _bytes(path)
    if sealed.is_sealed(data):
        raise ModelbuildError(
            f"{path.name} is encrypted",
            where=str(path),
            why=f"it is a package that modelbuild encrypted in mode {sealed.read_header(data).mode}",
            advice=f"open it with its keys first: modelbuild nef decrypt {path} -o OUT.nef",
        )
    try:
        return nef.read(data)
    except ModelbuildError as error:
        first = error.problems[0]
        place = f"{path}: {first.where}" if first.where else str(path)
        raise ModelbuildError(
            first.what, where=place, why=first.why, advice=first.advice, exit_code=error.exit_code
        ) from None


def _write(made: Nef, output: str | Path, read: Sequence[Path], force: bool) -> dict[str, Any]:
    """Write the file whole, or nothing; what was written."""
    place = _place(output, made)
    check_place(place, read, force, is_simulated)
    data = nef.write(made)
    place.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(place, data)
    return _written(place, data)


def _place(output: str | Path, made: Nef) -> Path:
    """Where the file goes."""
    place = Path(output)
    if place.is_dir() or str(output).endswith(("/", "\\")):
        suffix = ".nef" if made.silicon else SIMULATED
        return place / nef_extract.safe(f"models_{made.target.removeprefix('kl')}{suffix}")
    return place


def _notes(made: Nef) -> list[str]:
    if not made.silicon:
        return []
    return [
        "the programs are a vendor's: their addresses follow what its firmware says of them "
        "(docs/format-nef.md), and whether the chip takes the file was not tried"
    ]


def _written(path: Path, data: bytes) -> dict[str, Any]:
    return {"path": str(path), "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _described(one: Nef, sources: Mapping[int, str]) -> dict[str, Any]:
    models = [
        {
            "id": model.id,
            "name": model.name,
            "version": None if model.version is None else f"{model.version:04x}",
            **({"source": sources[model.id]} if sources else {}),
        }
        for model in one.models
    ]
    return {
        "ok": True,
        "chip": one.target,
        "generation": one.generation,
        "silicon": one.silicon,
        "models": models,
    }
