"""One tool on one prepared network: quantize in its own process, run, score; or why there is no score."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.measure import Command, Run, run
from bench.quantizers.prepared import Prepared
from bench.quantizers.running import FIXED
from bench.quantizers.scores import Score, score
from bench.quantizers.tools import Ours, Peer
from bench.tools import OURS, ROOT

LONGEST = 1800  # seconds for one process
QUANTIZING = ("observe", "quantize", "apply")  # the stages that the seconds of ours are of


@dataclass(frozen=True)
class Measured:
    """A line of the table. `seconds` are those of quantizing, without imports of Python; `peak_mb` is that of
    the largest process. `reason` where there is no score."""

    tool: Peer | Ours
    score: Score | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Quantized:
    """The file that a tool left, and what it took: `seconds` without imports, `peak_mb` of its process."""

    path: Path
    seconds: float
    peak_mb: float
    versions: dict[str, str] = field(default_factory=dict)


def by_peer(tool: Peer, python: Path, network: Prepared, work: Path) -> Quantized:
    """The peer's driver in the folder `work`. Raises RuntimeError, OSError or ValueError where it fails."""
    job = {
        "model": str(network.model),
        "input": network.input_name,
        "samples": str(network.calibration),
        "settings": dict(tool.settings),
        "output": str(work / "quantized.onnx"),
        "result": str(work / "result.json"),
    }
    (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = run(_limited(work, str(python), "-P", str(tool.driver), str(work / "job.json")))
    result = json.loads((work / "result.json").read_text(encoding="utf-8"))
    return Quantized(work / "quantized.onnx", result["seconds"], done.peak_mb, result["versions"])


def by_us(tool: Ours, network: Prepared, work: Path) -> Quantized:
    """The real command up to the fixed-point model, in the folder `work`; raises as `by_peer`."""
    text = yaml.safe_dump(manifest(tool, network), sort_keys=False)
    (work / "models.yaml").write_text(text, encoding="utf-8")
    done = build(work, "apply", "--dump", "dump")
    seconds = sum(took for stage, took in stage_seconds(work).items() if stage in QUANTIZING)
    return Quantized(work / f"dump/network@chip/apply/model{FIXED}", seconds, done.peak_mb)


def build(work: Path, until: str, *options: str) -> Run:
    """The command in a project of `manifest`, one job at a time. Raises RuntimeError where it fails."""
    (work / "events").unlink(missing_ok=True)
    words = ("-P", "-m", "modelbuild", "build", "network@chip", "--until", until, "-j", "1")
    done = run(_limited(work, sys.executable, *words, "--events", "events", *options))
    return Run(done.seconds, max(done.peak_mb, *stage_peaks(work).values(), 0.0))


def stage_seconds(work: Path) -> dict[str, float]:
    """Of the last `build`, stage -> seconds from start to end, of those that ran."""
    started: dict[str, float] = {}
    found: dict[str, float] = {}
    for event in map(json.loads, (work / "events").read_text(encoding="utf-8").splitlines()):
        stage = event.get("stage")
        if event["event"] == "action_started":
            started[stage] = event["seconds"]
        elif event["event"] == "action_finished" and stage in started:  # else it was cached
            found[stage] = found.get(stage, 0.0) + event["seconds"] - started[stage]
    return found


def stage_peaks(work: Path) -> dict[str, float]:
    """Of the last `build`, stage -> the largest memory of its process in MB. A worker counts anew with each
    action, so that the kernel tells of the last one only when the command has ended."""
    found: dict[str, float] = {}
    for event in map(json.loads, (work / "events").read_text(encoding="utf-8").splitlines()):
        if event["event"] == "action_finished" and event.get("peak_bytes"):
            found[event["stage"]] = max(found.get(event["stage"], 0.0), event["peak_bytes"] / (1 << 20))
    return found


def peer(tool: Peer, python: Path, network: Prepared, work: Path, reference: Path) -> Measured:
    """The peer's QDQ file on the evaluation samples."""
    return _measured(tool, network, work, reference, lambda: by_peer(tool, python, network, work))


def ours(tool: Ours, network: Prepared, work: Path, reference: Path) -> Measured:
    """Our fixed-point model on the evaluation samples."""
    return _measured(tool, network, work, reference, lambda: by_us(tool, network, work))


def _measured(
    tool: Peer | Ours, network: Prepared, work: Path, reference: Path, quantize: Callable[[], Quantized]
) -> Measured:
    work.mkdir(parents=True)
    try:
        made = quantize()
        scored = score(reference, outputs(made.path, network, work), network.labels)
    except (RuntimeError, OSError, ValueError) as error:
        return Measured(tool, reason=_reason(error))
    finally:
        shutil.rmtree(work)
    return Measured(tool, scored, made.seconds, made.peak_mb, made.versions)


def manifest(tool: Ours, network: Prepared) -> dict[str, Any]:
    """A project of one model for one chip, on the same arrays as the peers."""
    return {
        "modelbuild": 1,
        "samples": {"calibration": {"files": f"{network.calibration}/*.npy"}},
        "models": {
            "network": {
                "source": str(network.model),
                "inputs": {network.input_name: {"shape": list(network.shape)}},
                "calibration": "calibration",
            }
        },
        "targets": {
            "chip": {"chip": tool.chip, **({"quantize": dict(tool.quantize)} if tool.quantize else {})}
        },
        "packages": {"all": {"target": "chip", "models": {"network": {"id": 32769, "version": "0001"}}}},
    }


def outputs(model: Path, network: Prepared, work: Path) -> Path:
    """The folder of the model's outputs on the evaluation samples."""
    folder = work / "outputs"
    folder.mkdir()
    job = {"model": str(model), "samples": str(network.evaluation), "outputs": str(folder)}
    (work / "running.json").write_text(json.dumps(job), encoding="utf-8")
    run(_limited(work, sys.executable, "-P", "-m", "bench.quantizers.running", str(work / "running.json")))
    return folder


def _limited(folder: Path, *words: str) -> Command:
    """The command, ended after `LONGEST` by coreutils' timeout."""
    return Command(("timeout", str(LONGEST), *words), folder, {**OURS, "PYTHONHASHSEED": "0"})


def _reason(error: Exception) -> str:
    """The last line that was said, for a cell of the table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error:")] or lines or [type(error).__name__]
    text = said[-1].replace("|", "/").replace(str(ROOT), ".")
    return text if len(text) <= 90 else f"{text[:87]}..."
