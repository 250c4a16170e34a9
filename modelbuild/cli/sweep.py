"""`modelbuild sweep`: try settings on one model and rank what comes out."""

from __future__ import annotations

import argparse

from modelbuild import api
from modelbuild.cli import console, progress
from modelbuild.errors import ModelbuildError
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import STATE
from modelbuild.project.sweep_report import ORDERS, SweepReport, Variant, adopted, command
from modelbuild.project.variants import combinations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("pair", metavar="MODEL@TARGET", help="a model on a target")
    parser.add_argument(
        "--try",
        dest="tries",
        action="append",
        required=True,
        metavar="KEY=VALUE,VALUE",
        help="values of a setting; every combination is built",
    )
    parser.add_argument("--sort", choices=tuple(ORDERS), default="snr", help="what ranks the rows (snr)")
    parser.add_argument("--adopt", type=int, metavar="ROW", help="the row to show how to adopt (the first)")
    parser.add_argument("-j", "--jobs", type=int, help="actions side by side (the number of processors)")
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="after a failure, build the other combinations"
    )
    parser.add_argument("--retry", action="store_true", help="run again what failed with these very inputs")


def run(options: argparse.Namespace) -> int:
    """A table, the best row first, and what to write to keep a row."""
    how = BuildOptions.of(vars(options))
    count = len(combinations(options.tries))
    if options.adopt is not None and not 0 <= options.adopt <= count:
        raise ModelbuildError(f"there will be no row {options.adopt}", advice=f"rows are 1 to {count}")
    project = api.open_project(options.directory, options.file)
    with progress.shown(project.root / STATE) as tell:
        report = api.sweep(project, options.pair, options.tries, how, tell)
    ranked = report.ranked(options.sort)
    for row in ranked:
        if row.error is not None:
            console.say(f"row {row.number} was not built:")
            console.report(row.error)
    lines = [
        _table(report, ranked),
        *_measured_on(report),
        *_legend(ranked),
        *_adoption(report, ranked, options.adopt),
    ]
    console.result("\n".join(lines), report.to_json(options.sort))
    return report.exit_code


def _table(report: SweepReport, ranked: tuple[Variant, ...]) -> str:
    labelled = any(row.measured and row.measured.top1 is not None for row in ranked)
    accuracy = ["top-1"] if labelled else []
    header = ["row", *report.keys, "SNR dB", *accuracy, "bytes", "ms", "gate", ""]
    first = 1 + len(report.keys)
    return console.table(
        header,
        [_cells(row, labelled) for row in ranked],
        right=(0, *range(first, first + 3 + labelled)),
    )


def _cells(row: Variant, labelled: bool) -> list[str]:
    found = row.measured
    note = ", ".join(word for word, holds in (("current", row.current), ("*", row.front)) if holds)
    head = [str(row.number), *(value or "as it is" for value in row.settings.values())]
    if found is None:
        return [*head, *["-"] * (4 + labelled), ", ".join(filter(None, ["failed", note]))]
    accuracy = ["-" if found.top1 is None else f"{found.top1:.4f}"] if labelled else []
    snr = "-" if found.worst_snr_db is None else f"{found.worst_snr_db:.2f}"
    gate = "failed" if found.broken_bounds else "passed"
    time = "-" if found.time_ms is None else f"{found.time_ms:.4g}"
    return [*head, snr, *accuracy, str(found.size), time, gate, note]


def _measured_on(report: SweepReport) -> list[str]:
    if report.evaluation is None:
        return []
    return [f"{report.evaluation}; in a build without `evaluation:` a row has its own calibration samples"]


def _legend(ranked: tuple[Variant, ...]) -> list[str]:
    bounds = {row.number: ", ".join(row.measured.broken_bounds) for row in ranked if row.measured}
    return [
        "*: no other row is at least as good in SNR, size and time and better in one",
        *(f"row {number}: out of bounds: {text}" for number, text in bounds.items() if text),
    ]


def _adoption(report: SweepReport, ranked: tuple[Variant, ...], wanted: int | None) -> list[str]:
    numbers = {row.number: row for row in ranked}
    if wanted is not None and wanted not in numbers:
        raise ModelbuildError(
            f"there is no row {wanted}", advice=f"rows are {', '.join(map(str, sorted(numbers)))}"
        )
    row = ranked[0] if wanted is None else numbers[wanted]
    if row.error is not None:
        return []
    if row.current:
        return ["", f"row {row.number} is what the manifest says now"]
    text = adopted(row, report.model, report.target)
    return [
        "",
        f"to adopt row {row.number}, write into the manifest:",
        *(f"  {line}" for line in text.splitlines()),
        f"or, for one run: modelbuild build {report.model}@{report.target} {command(row)}",
    ]
