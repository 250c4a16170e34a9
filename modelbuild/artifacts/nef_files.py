"""NEF files combined, taken apart and edited: the objects of `modelbuild nef --json`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild import __version__, input_file, whole_file
from modelbuild.artifacts import nef_input
from modelbuild.artifacts.output_place import loss_of_package, make_folder, write
from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, kne, nef, nef_combine, nef_edit, nef_extract, nef_generate
from modelbuild.formats.nef_generations import RESERVED_IDS, SIMULATED
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
    read = [nef_input.read(path) for path in files]
    made = nef_combine.combine(read, [str(path) for path in files], drop_unknown=drop_unknown)
    written = _write(made, output, files, force)
    sources = {model.id: str(path) for path, one in zip(files, read, strict=True) for model in one.models}
    notes = _notes(made) if len(files) > 1 else []
    return {**written, **_described(made, sources), "notes": notes}


def extract(
    path: str | Path, folder: str | Path, ids: Sequence[int] = (), *, force: bool = False
) -> dict[str, Any]:
    """Write the binaries in a NEF into `folder`; with `ids` those of these models alone.

    Gives the object of `nef extract --json`. Errors: ModelbuildError for a file that cannot be read,
    checksums that do not agree, ids that no model has, and files that are there already, unless `force`.
    """
    source, folder = Path(path), Path(folder)
    one = nef_input.read(source)
    nef.check(one, str(source))
    with input_file.naming(str(source)):
        found = nef_extract.files(one, tuple(ids))
    if folder.exists() and not folder.is_dir():
        raise ModelbuildError(
            f"{folder.name} is not a folder", where=f"-o {folder}", advice="name another folder"
        )
    there = [name for name in found if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not force:
        raise ModelbuildError(
            f"there are files of these names already: {', '.join(there[:3])}{' …' if there[3:] else ''}",
            where=str(folder),
            advice="name another folder with -o, or add --force to replace them",
        )
    make_folder(folder)
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
    one = nef_input.read(source)
    with input_file.naming(str(source)):
        made = nef_edit.edited(one, ids, versions)
    written = _write(made, output, [source], force)
    notes = [
        f"the id {number} is reserved: Kneron keeps ids below {RESERVED_IDS}"
        for number in sorted(set((ids or {}).values()))
        if number < RESERVED_IDS
    ]
    return {**written, **_described(made, {}), "notes": notes}


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
    *firmware, all_models = [input_file.read(path) for path in files]
    own, platform, info = f"modelbuild/{__version__}", chip.lower().removeprefix("kl"), b"".join(firmware)
    try:
        made = nef_generate.generated(platform, all_models, info, own_toolchain=own)
    except ModelbuildError as error:
        raise _ungenerated(error, files, all_models, info, chip) from None
    written = _write(made, output, files, force)
    return {**written, **_described(made, {})}


def _ungenerated(
    error: ModelbuildError, files: Sequence[Path], all_models: bytes, firmware: bytes, chip: str
) -> ModelbuildError:
    """Which of the files is not what its place says, or that they do not belong together."""
    first = error.problems[0]
    why = ": ".join(part for part in (first.what, first.why) if part)
    if firmware and not _reads(fw_info.decode, firmware):
        swapped = _reads(fw_info.decode, all_models)
        what = "the files are in the wrong order" if swapped else f"{files[0].name} is no fw_info.bin"
        advice = "name fw_info.bin first, then all_models.bin"
    elif not firmware and not _reads(kne.decode, all_models):
        what, advice = f"{files[0].name} is no .kne", "name a .kne, or fw_info.bin and all_models.bin"
    elif first.advice and not first.where.startswith("offset"):
        return error
    else:
        what = f"the binaries do not belong together, or not to {chip}"
        advice = "name the fw_info.bin and all_models.bin of one file, and its chip"
    return ModelbuildError(what, where=str(files[0]), why=why, advice=advice, exit_code=error.exit_code)


def _reads(reader: Callable[[bytes], object], data: bytes) -> bool:
    try:
        reader(data)
    except ModelbuildError:
        return False
    return True


def _write(made: Nef, output: str | Path, read: Sequence[Path], force: bool) -> dict[str, Any]:
    """Write the file whole, or nothing; what was written."""
    suffix = ".nef" if made.silicon else SIMULATED
    name = nef_extract.safe(f"models_{made.target.removeprefix('kl')}{suffix}")
    data = nef.write(made)
    return _written(write(output, name, data, read, force, loss_of_package), data)


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
