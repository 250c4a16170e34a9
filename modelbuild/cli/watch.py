"""`modelbuild watch`: build, and build again as files change."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import monotonic

from modelbuild.build.interrupts import Interrupted
from modelbuild.cli import build, building, console
from modelbuild.cli.summary import round_summary
from modelbuild.errors import EXIT_INTERRUPTED, ModelbuildError
from modelbuild.project import watch_places
from modelbuild.project.goals import goals
from modelbuild.project.options import BuildOptions
from modelbuild.project.watching import Watched, watch

_LISTED = 5  # changed paths that are named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `build`."""
    build.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Goes on until Ctrl-C, which is how it ends and no mishap."""
    for given, name in ((options.json, "--json"), (options.dry_run, "--dry-run")):
        if given:
            raise ModelbuildError(
                f"watch does not take {name}: it builds again and again",
                advice="`--events -` tells of every build as JSON lines, `status` of what is out of date",
            )
    chosen = BuildOptions.of(vars(options))
    directory = Path(options.directory)
    root = Path(os.path.abspath(directory))  # noqa: PTH100 - links stay links

    def places() -> watch_places.Places:
        return watch_places.of_project(building.opened(options, chosen), options.names, chosen.until)

    _refuse_early(options, chosen, root / options.file)
    try:
        watch(
            Watched(
                root / options.file,
                places,
                lambda: building.build(options, chosen, monotonic(), round_summary),
                console.report,
                lambda paths: console.progress(_changed(paths, root)),
                lambda count: console.progress(_ready(count)),
            )
        )
    except KeyboardInterrupt as error:
        return error.exit_code if isinstance(error, Interrupted) else EXIT_INTERRUPTED


def _refuse_early(options: argparse.Namespace, chosen: BuildOptions, manifest: Path) -> None:
    """Raises what waiting cannot mend: no manifest, unknown names, a dump's folder with other files in it. A
    manifest that is wrong can be mended while we watch."""
    try:
        project = building.opened(options, chosen)
    except ModelbuildError:
        if not manifest.is_file():
            raise
        return
    goals(project, options.names, chosen.until)
    building.dump_folder(project, options)


def _ready(count: int) -> str:
    return f"waiting for changes in {count} folder{'' if count == 1 else 's'}; Ctrl-C ends"


def _changed(paths: list[str], root: Path) -> str:
    named = [os.path.relpath(path, root) for path in paths[:_LISTED]]
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return f"changed: {', '.join(named)}{more}"
