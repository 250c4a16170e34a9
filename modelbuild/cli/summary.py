"""What stands on standard output at the end of a build: packages with files, sizes and gates; counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelbuild.cli import console

if TYPE_CHECKING:
    from modelbuild.project.build_report import BuildReport, BuiltPackage

FEW = 10  # so many packages are listed though nothing about them is new
MANY = 30  # beyond so many, a package has one line and not one a file

_HEADER = ("package", "target", "gate", "size", "file")
_SIZE = 3  # the column set right
_SIMULATED = "for the simulator, not for silicon"


def summary(report: BuildReport, verbose: bool = False) -> str:
    """Packages that are new or whose gate did not pass are listed, all of them where they are few or with
    `verbose`; the others are counted. Says nothing of times, so that equal builds print equal text."""
    packages = report.packages
    everything = verbose or len(packages) <= FEW
    listed = [one for one in packages if everything or one.changed or one.gate != "passed"]
    lines = [_table(listed, whole=verbose or len(listed) <= MANY)] if listed else []
    lines += [line for package in listed for line in _batches(package)]
    lines += [line for package in listed for line in _included(package)]
    lines += _simulated(listed)
    if len(listed) < len(packages):
        rest = len(packages) - len(listed)
        lines.append(f"{rest} packages are as they were; -v lists them")
    return "\n".join([*lines, *map(_predicted, report.evaluated), *report.unjudged, *_counts(report)])


def round_summary(report: BuildReport, verbose: bool = False) -> str:
    """As `summary`, for a build that follows another: where nothing came of it, that alone."""
    new = any(one.changed or one.gate != "passed" for one in report.packages)
    idle = report.ok and not new and not report.count("run")
    return "\n".join(_counts(report)) if idle else summary(report, verbose)


def dry_summary(report: BuildReport, differences: Mapping[str, Sequence[str]]) -> str:
    """What a build would do. `differences` is package -> what is not on the disk as it was built."""
    lines = [f"would run {name}" for name, state in report.states.items() if state == "would_run"]
    for package, found in differences.items():
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        lines += [f"would put {package} back: {found[0]}{more}"] if found else []
    lines.append(f"{report.count('would_run')} of {len(report.states)} actions would run")
    return "\n".join(lines)


def _table(packages: Sequence[BuiltPackage], whole: bool) -> str:
    rows = [row for package in packages for row in (_rows(package) if whole else [_row(package)])]
    text = console.table(_HEADER, rows, right=(_SIZE,))
    room = console.columns()
    if room is None or max(map(console.width, text.splitlines())) <= room:
        return text
    return "\n".join(line for row in rows for line in _narrow(row, room))


def _narrow(row: Sequence[str], room: int) -> list[str]:
    """A row of the table for a terminal that is too narrow for columns: a line a package, one a file."""
    name, target, gate, size, file = row
    lines = [f"{name}  {target}  {gate}"] if name else []
    both = f"  {file}  {size}".rstrip()
    if console.width(both) <= room or not size:
        return [*lines, both] if file else lines
    return [*lines, f"  {file}", f"    {size}"]


def _rows(package: BuiltPackage) -> list[tuple[str, ...]]:
    """A line a file, the report last; the package's name stands on the first."""
    cells = [(console.size(file["size"]), str(file["path"])) for file in package.files]
    if package.report:
        cells.append(("", package.report))
    first = (package.name, package.target, package.gate)
    return [
        (*(first if not index else ("", "", "")), *cell) for index, cell in enumerate(cells or [("", "")])
    ]


def _row(package: BuiltPackage) -> tuple[str, ...]:
    """A package on one line."""
    size = console.size(sum(file["size"] for file in package.files)) if package.files else ""
    folder = f"{len(package.files)} files in dist/{package.name}" if package.files else package.report or ""
    return (package.name, package.target, package.gate, size, folder)


def _batches(package: BuiltPackage) -> list[str]:
    """Pictures a run, where a batch is asked for."""
    lines = []
    for batch in package.batches:
        wanted = "" if batch["achieved"] == batch["desired"] else f" of {batch['desired']} wanted"
        first, *more = batch["reasons"] or [""]
        why = f": {first}{f', and {len(more)} more' if more else ''}" if first else ""
        lines.append(f"{batch['model']}@{package.target}: batch {batch['achieved']}{wanted}{why}")
    return lines


def _predicted(said: Mapping[str, Any]) -> str:
    """The speed of a model, after `--until evaluate`."""
    fps = "takes no time" if said["fps"] is None else f"{said['fps']:.4g} fps"
    batch = f", batch {said['batch']}" if said["batch"] != 1 else ""
    fits = "" if said["fits"] else f"; it does not fit: {said['fits_because']}"
    return (
        f"{said['model']}@{said['target']}: {fps}, {said['total_ms']:.4g} ms (NPU {said['time_ms']:.4g}, CPU "
        f"{said['cpu_time_ms']:.4g}){batch}, confidence {said['confidence']}{fits}"
    )


def _included(package: BuiltPackage) -> list[str]:
    """Models that are in the package as they were."""
    return [
        f"{package.name}: {len(file['models'])} models of {file['path']} included, not verified"
        if len(file["models"]) != 1
        else f"{package.name}: 1 model of {file['path']} included, not verified"
        for file in package.included
    ]


def _simulated(packages: Sequence[BuiltPackage]) -> list[str]:
    names = [package.name for package in packages if package.files and not package.silicon]
    if not names:
        return []
    if len(names) == len(packages) > 1:
        return [f"all of these are {_SIMULATED}"]
    return [f"{_SIMULATED}: {', '.join(names)}"]


def _counts(report: BuildReport) -> list[str]:
    ran, cached, failed = report.count("run"), report.count("cached"), report.count("failed")
    skipped = report.count("skipped")
    moved = [
        f"{folder}, which has no such package now: it is this manifest's" for folder in report.taken_over
    ]
    moved += [
        f"moved {folder} to .stale beside it: no package has that name now" for folder in report.withdrawn
    ]
    if ran or failed or skipped:
        return [
            *moved,
            f"{ran} ran, {cached} cached, {failed} failed" + (f", {skipped} skipped" if skipped else ""),
        ]
    restored = [package.name for package in report.packages if package.changed]
    done = f"nothing to {'run' if restored else 'do'}: {cached} actions are up to date"
    return [*moved, *(f"put {name} back into dist/" for name in restored), done]
