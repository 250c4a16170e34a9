"""After a build in which all went well: what another one needs to know that there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelbuild.build.remember import Product
from modelbuild.build.result import BuildResult
from modelbuild.manifest.reads import reads
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import DIST, REPORTS, Project
from modelbuild.project.settled import request_of, told


def remember(
    project: Project, names: Sequence[str], options: BuildOptions, result: BuildResult, report: BuildReport
) -> bool:
    """Keeps the snapshot that `settled.unchanged` looks at. To be called under the builder's lock, after
    publishing. False, and there is none, where something changed while the build ran."""
    if options.remeasure:
        return False
    try:
        looked_at = reads(project.manifest, project.lock)
    except OSError:
        return False
    request = request_of(str(project.root), project.manifest.path.name, names, project.overrides, options)
    products = [
        product for package in report.packages for product in _products(project, result, package.name)
    ]
    return project.builder.remember(request, looked_at, project.began_ns, products, told(report))


def _products(project: Project, result: BuildResult, name: str) -> Iterator[Product]:
    from modelbuild.project.building import shipped

    package = project.plan.packages[name]
    yield Product(f"{DIST}/{name}", shipped(result, package))
    yield Product(f"{REPORTS}/{name}", result.outputs[package.action("report")])
