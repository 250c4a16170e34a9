"""Findings as SARIF 2.1.0, the form that code scanners exchange. The same findings give the same text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from modelbuild import __version__
from modelbuild.cli.findings import with_time
from modelbuild.graph.codes import CODES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_Found = Mapping[str, Any]
Placed = Callable[[_Found], tuple[str, int, int] | None]  # a finding -> file, line and column


def text(findings: Iterable[_Found], ignored: Iterable[_Found], placed: Placed) -> str:
    """One run; what the manifest ignores is in it as suppressed."""
    results = [_result(finding, placed) for finding in findings]
    hidden = [_result(finding, placed) | _suppression(finding) for finding in ignored]
    if hidden:  # SARIF 2.1.0, 3.27.23: all results of a run have the property, or none has
        results = [{**result, "suppressions": []} for result in results]
    results += hidden
    driver = {
        "name": "modelbuild",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in CODES],
    }
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(log, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(code: str) -> dict[str, Any]:
    title = CODES[code].title
    return {
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": f"{title}; docs/checks.md says more under {code}"},
        "defaultConfiguration": {"level": CODES[code].severity},
    }


def _result(finding: _Found, placed: Placed) -> dict[str, Any]:
    advice = f"\n{finding['advice']}" if finding["advice"] else ""
    about = {key: finding[key] for key in ("model", "target", "node") if finding.get(key)}
    found: dict[str, Any] = {
        "ruleId": finding["code"],
        "ruleIndex": list(CODES).index(finding["code"]),
        "level": finding["severity"],
        "message": {"text": f"{_about(finding)}{with_time(finding)['message']}{advice}"},
    }
    locations = _location(finding, placed(finding))
    return (
        found | ({"locations": [locations]} if locations else {}) | ({"properties": about} if about else {})
    )


def _about(finding: _Found) -> str:
    return f"{finding['model']}@{finding['target']}: " if finding.get("target") else ""


def _location(finding: _Found, place: tuple[str, int, int] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if place is not None:
        file, line, column = place
        found["physicalLocation"] = {
            "artifactLocation": {"uri": quote(file)},
            "region": {"startLine": line, "startColumn": column},
        }
    if finding.get("node"):
        whole = "/".join(filter(None, (finding.get("model"), finding["node"])))
        found["logicalLocations"] = [{"name": finding["node"], "fullyQualifiedName": whole}]
    return found


def _suppression(finding: _Found) -> dict[str, Any]:
    reason = {"justification": finding["reason"]} if finding["reason"] else {}
    return {"suppressions": [{"kind": "external", **reason}]}
