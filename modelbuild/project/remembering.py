"""After a build in which all went well: what another one needs to know that there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.build.result import BuildResult
from modelbuild.manifest.reads import reads
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project
from modelbuild.project.settled import request_of, told
from modelbuild.project.shipping import Shipment


def request_for(project: Project, names: Sequence[str], options: BuildOptions) -> str:
    """The name of the snapshot of a request."""
    return request_of(str(project.root), project.manifest.path.name, names, project.overrides, options)


def remember(
    project: Project, names: Sequence[str], options: BuildOptions, result: BuildResult, report: BuildReport
) -> str:
    """Keeps the snapshot that `settled.unchanged` looks at. To be called under the builder's lock, after
    publishing. Returns why there is none, as where something changed meanwhile, and else nothing."""
    if options.remeasure:
        return "to measure again is never nothing to do"
    try:
        looked_at = reads(project.manifest, project.lock)
    except OSError as error:
        return f"not all that the plan rests on can be looked at: {error}"
    if any(project.plan.packages[package.name].keys for package in report.packages):
        return "keys of encrypted packages are read anew by each build"
    request = request_for(project, names, options)
    packages = (project.plan.packages[package.name] for package in report.packages)
    shipments = [Shipment.of(package, project.manifest) for package in packages]
    products = [product for shipment in shipments for product in shipment.products(result.outputs)]
    plain = [shipment.to_plain() for shipment in shipments]
    known = told(report, project.manifest.secrets)
    return project.builder.remember(request, looked_at, project.began_ns, products, known, plain)
