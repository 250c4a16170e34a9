"""One tool on one prepared network: quantize in its own process, run, score; or why there is no score."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.measure import Command, run
from bench.quantizers.prepared import Prepared
from bench.quantizers.running import FIXED
from bench.quantizers.scores import Score, score
from bench.quantizers.tools import Ours, Peer
from bench.tools import OURS, ROOT

LONGEST = 1800  # seconds for one process
_QUANTIZING = ("observe", "quantize", "apply")  # the stages that the seconds of ours are of


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


def peer(tool: Peer, python: Path, network: Prepared, work: Path, reference: Path) -> Measured:
    """The peer's driver, then its QDQ file on the evaluation samples."""
    work.mkdir(parents=True)
    job = {
        "model": str(network.model),
        "input": network.input_name,
        "samples": str(network.calibration),
        "settings": dict(tool.settings),
        "output": str(work / "quantized.onnx"),
        "result": str(work / "result.json"),
    }
    (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
    try:
        done = run(_limited(work, str(python), "-P", str(tool.driver), str(work / "job.json")))
        result = json.loads((work / "result.json").read_text(encoding="utf-8"))
        found = outputs(work / "quantized.onnx", network, work)
        scored = score(reference, found, network.labels)
    except (RuntimeError, OSError, ValueError) as error:
        return Measured(tool, reason=_reason(error))
    finally:
        shutil.rmtree(work)
    return Measured(tool, scored, result["seconds"], done.peak_mb, result["versions"])


def ours(tool: Ours, network: Prepared, work: Path, reference: Path) -> Measured:
    """The real command up to the fixed-point model, which then runs on the evaluation samples."""
    work.mkdir(parents=True)
    text = yaml.safe_dump(manifest(tool, network), sort_keys=False)
    (work / "models.yaml").write_text(text, encoding="utf-8")
    words = ("-P", "-m", "modelbuild", "build", "network@chip", "--until", "apply", "-j", "1")
    try:
        done = run(_limited(work, sys.executable, *words, "--dump", "dump", "--events", "events"))
        found = outputs(work / f"dump/network@chip/apply/model{FIXED}", network, work)
        scored = score(reference, found, network.labels)
        seconds = _seconds((work / "events").read_text(encoding="utf-8"))
    except (RuntimeError, OSError, ValueError) as error:
        return Measured(tool, reason=_reason(error))
    finally:
        shutil.rmtree(work)
    return Measured(tool, scored, seconds, done.peak_mb)


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


def _seconds(events: str) -> float:
    """From start to end of the stages that quantize."""
    total = 0.0
    for event in map(json.loads, events.splitlines()):
        if event.get("stage") in _QUANTIZING and event["event"] in ("action_started", "action_finished"):
            total += event["seconds"] if event["event"] == "action_finished" else -event["seconds"]
    return total


def _reason(error: Exception) -> str:
    """The last line that was said, for a cell of the table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error:")] or lines or [type(error).__name__]
    text = said[-1].replace("|", "/").replace(str(ROOT), ".")
    return text if len(text) <= 90 else f"{text[:87]}..."
