"""`build --dump DIR`: what every stage made, under names that people can read. It is part of no key."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelbuild.build import disk
from modelbuild.build.result import BuildResult
from modelbuild.errors import ModelbuildError
from modelbuild.project.goals import goals
from modelbuild.project.project import DIST, REPORTS, STATE, Project
from modelbuild.stages.request import SHARED

MARK = ".modelbuild-dump"  # a folder with this file in it may be replaced, if it holds what the file lists
_MARK_TEXT = "Written by `modelbuild build --dump`, which replaces this folder and these files:"


def check_folder(root: Path, folder: Path) -> None:
    """Raises ModelbuildError for a folder that holds somebody's files, or in which builds keep theirs."""
    inside = next((own for own in (STATE, DIST, REPORTS) if folder.is_relative_to(root / own)), None)
    if inside is not None:
        raise ModelbuildError(
            f"--dump cannot write into {inside}/, which is the build's own", advice="name another folder"
        )
    try:
        foreign = next(_foreign(folder), None) if folder.exists() else None
    except OSError as error:
        raise ModelbuildError(
            "--dump cannot use this folder", where=str(folder), why=error.strerror or str(error)
        ) from None
    if foreign is not None:
        raise ModelbuildError(
            "--dump would replace a folder that holds other files",
            where=str(folder),
            why=f"no --dump has written {foreign}",
            advice="move it elsewhere, or name a folder that is new, empty, or of an earlier --dump",
        )


def _foreign(folder: Path) -> Iterator[str]:
    """Files, links and empty folders in the folder that no dump has left there, relative to it."""
    mark = folder / MARK
    own = {MARK, *mark.read_text("utf-8", "replace").splitlines()[1:]} if mark.is_file() else set()
    for place, folders, files in os.walk(folder, onerror=_raise):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        found = sorted((here / name).relative_to(folder).as_posix() for name in (*files, *links))
        yield from (name for name in found if name not in own)
        if not files and not folders and here != folder:
            yield f"{here.relative_to(folder).as_posix()}/"


def _raise(error: OSError) -> None:
    raise error


def dump(
    project: Project,
    names: Sequence[str],
    until: str | None,
    folder: Path,
    failures: Mapping[str, ModelbuildError] | None = None,
) -> None:
    """Replaces `folder` by what a build of the selection has left, cached or not; complete or as it was, also
    if it is killed, where the system can exchange two names.

    `failures` is action -> error: those leave `failure.txt`. Raises as `check_folder`, and ModelbuildError
    (exit 1) where the disk refuses."""
    check_folder(project.root, folder)
    folder = Path(os.path.realpath(folder))  # a link stays one
    wanted = goals(project, names, until)
    result = project.builder.build(project.plan.actions, wanted, jobs=1, keep_going=True, dry_run=True)
    new, old = (folder.with_name(f".{folder.name}.{what}") for what in ("new", "old"))
    try:
        disk.remove_tree(new)
        disk.make_folder(new)
        for action in result.states:
            for place in _places(project, result, action):
                _write(project, result, action, new / place, (failures or {}).get(action))
        (new / MARK).write_text("\n".join([_MARK_TEXT, *_files(new)]) + "\n", encoding="utf-8")
        disk.remove_tree(old)
        disk.put_folder(new, folder, old)
    except OSError as error:
        raise disk.failure("write the dump", folder, error) from error
    finally:
        disk.remove_tree(new)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _places(project: Project, result: BuildResult, action: str) -> Iterator[str]:
    """The folders of an action: MODEL@TARGET/STAGE (of every target that shares it), PACKAGE/STAGE, or
    PACKAGE/STAGE/MODEL."""
    owner, stage = action.rsplit(":", 1)
    package, slash, model = owner.partition("/")
    if "@" not in owner and stage in SHARED:
        pairs = [request for pair, request in project.plan.models.items() if pair[0] == owner]
        reached = [one for one in pairs if one.action("lower") in result.states] or pairs
        yield from (f"{one.model}@{one.target}/{stage}" for one in reached)
    else:
        yield f"{package}/{stage}{slash}{model}"


def _write(
    project: Project, result: BuildResult, action: str, folder: Path, failure: ModelbuildError | None
) -> None:
    if failure is not None:
        disk.make_folder(folder)
        (folder / "failure.txt").write_text(f"{failure}\n", encoding="utf-8")
    outputs = result.outputs.get(action, {})
    for name in outputs:
        disk.make_folder((folder / name).parent)
        shutil.copyfile(project.builder.output(result, action, name), folder / name)
    if {"command.bin", "host.bin"} <= outputs.keys():
        _write_program(folder)


def _write_program(folder: Path) -> None:
    """What can be read of a compiled program, beside it."""
    from modelbuild.project.program_text import program_text

    command, host = ((folder / f"{part}.bin").read_bytes() for part in ("command", "host"))
    plan = json.loads((folder / "compile.json").read_text(encoding="utf-8"))
    for name, text in program_text(command, host, plan).items():
        (folder / name).write_text(text, encoding="utf-8")
