"""The binaries in a NEF as files of their own, under the names that the vendor's tool gives them."""

from __future__ import annotations

import zlib

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kne_combine, nef_edit
from modelbuild.formats.kne import KneModel
from modelbuild.formats.nef_objects import Nef, NefModel


def files(one: Nef, ids: tuple[int, ...] = ()) -> dict[str, bytes]:
    """Name -> content: the binaries of the whole file and of each model; with `ids` of these models alone.

    With fw_info: `all_models.bin`, `fw_info.bin`, and of each model `NEF_0x<uuid>_modelid_<id>_command.bin`,
    `…_weight.bin`, `…_setup.bin`. Of a KNE file: `NEF_0x<uuid>_models_<chip>.kne`, and of each model
    `NEF_0x<uuid>_model_<id>.kne` and its cores' commands and weights. Errors: ModelbuildError for ids that no
    model has.
    """
    chosen = _chosen(one, ids)
    start = f"NEF_0x{_uuid(one):08X}"
    found: dict[str, bytes] = {}
    if one.firmware_info is None:
        if not ids:
            found[f"{start}_models_{one.target.removeprefix('kl')}.kne"] = one.file.all_models
        for model in chosen:
            found |= _of_kne(one, model, start)
        return {safe(name): data for name, data in found.items()}
    if not ids:
        found |= {"all_models.bin": one.file.all_models, "fw_info.bin": one.file.firmware_info}
    base = one.firmware_info.records[0].command.address
    for model in chosen:
        assert model.regions is not None
        for name in ("command", "weight", "setup"):
            region = getattr(model.regions, name)
            place = region.address - base
            data = one.file.all_models[place : place + region.size]
            found[f"{start}_modelid_{_label(one, model)}_{name}.bin"] = data
    return found


def _chosen(one: Nef, ids: tuple[int, ...]) -> list[NefModel]:
    present = [model.id for model in one.models]
    for number in ids:
        if number not in present:
            raise ModelbuildError(
                f"there is no model {number} in the file",
                why=f"it has {nef_edit.listed(present)}",
                advice="name one of these",
            )
    return [model for model in one.models if not ids or model.id in ids]


def _label(one: Nef, model: NefModel) -> str:
    """The model's id; of several models with one id, which of them it is, too."""
    alike = [other for other in one.models if other.id == model.id]
    place = next(index for index, other in enumerate(alike, 1) if other is model)
    return f"{model.id}_{place}" if len(alike) > 1 else str(model.id)


def _uuid(one: Nef) -> int:
    """What names the file: its uuid, or what that is where it has none."""
    header = one.file.header
    return header.uuid or header.crc or zlib.crc32(one.file.all_models)


def _of_kne(one: Nef, model: NefModel, start: str) -> dict[str, bytes]:
    if not isinstance(model.block, KneModel):  # encrypted
        return {}
    found, label = {}, _label(one, model)
    if not (one.kne and one.kne.unknown):  # what nobody knows cannot be copied
        index = next(place for place, other in enumerate(one.models) if other is model)
        found[f"{start}_model_{label}.kne"] = kne_combine.single(one.file.all_models, index)
    for number, (command, weight) in enumerate(model.block.units):
        core = f"_core_{number}" if len(model.block.units) > 1 else ""
        found[f"{start}_modelid_{label}{core}_command.bin"] = command
        found[f"{start}_modelid_{label}{core}_weight.bin"] = weight
    if model.block.const_input:
        found[f"{start}_modelid_{label}_const_input.bin"] = model.block.const_input
    return found


def safe(name: str) -> str:
    """A name that every file system takes: that of an unknown chip has brackets and a space."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
