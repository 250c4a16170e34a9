"""Stage files as a build leaves them, for a package whose figures are made up but of a real shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.report.build import ModelInputs, collect
from modelbuild.report.model import Report

PACKAGE = {
    "name": "doorbell",
    "target": "cam",
    "project": "doorbell",
    "project_version": "1.4.0",
    "chip": "kl720",
    "vendor": "Kneron",
    "description": "Kneron KL720, 1.4 TOPS",
    "toolchain": "modelbuild/0.1.0",
}
KINDS = (
    ("Conv", "compute"),
    ("Conv", "weights"),
    ("Add", "dma"),
    ("Conv", "compute"),
    ("MaxPool", "overhead"),
)


def _operator(row: Mapping[str, Any]) -> dict[str, Any]:
    """A layer of compile.json that counts as evaluate.json says."""
    said = {key: row[key] for key in ("name", "cycles", "dram_read", "dram_write")}
    return {**said, "origin": [row["name"]], "unit": "npu", "kind": "conv", "weight_bytes": row["weights"]}


def stages(layers: int = 24) -> dict[str, Any]:
    """Role -> the JSON that its stage leaves when everything goes well."""
    names = [f"backbone/stage{index // 5}/{KINDS[index % 5][0].lower()}_{index}" for index in range(layers)]
    rows = []
    for index, name in enumerate(names):
        op, bound = KINDS[index % 5]
        macs = (index % 7 + 1) * 4_000_000 if op == "Conv" else 0
        cycles = max(macs // (300 + 40 * (index % 11)), 3000 + 700 * index)
        rows.append(
            {
                "name": name,
                "op": op,
                "origin": [name, f"{name}/relu"] if op == "Conv" else [name],
                "unit": "npu",
                "macs": macs,
                "cycles": cycles,
                "time_ms": cycles / 700_000,
                "dram_read": 38_400 * (index % 4),
                "dram_write": 19_200 * (index % 3),
                "weights": 9_216 * (index % 5) if op == "Conv" else 0,
                "bound": bound,
                "utilisation": macs / cycles / 1024 if macs else None,
            }
        )
    time = sum(row["time_ms"] for row in rows)
    difference = {"outputs": [{"name": "scores", "error": 2.1e-7}], "bound": 1e-4}
    tensors = [
        {
            "name": n,
            "scale": 0.0078125,
            "zero_point": 0,
            "low": -1.0,
            "high": 0.99,
            "method": "mse",
            "snr_db": 38.2,
        }
        for n in ("image", "scores", *names)
    ]
    return {
        "import": {
            "source": {
                "format": "onnx",
                "producer": "pytorch 2.4",
                "opset": 11,
                "ir_version": 6,
                "nodes": 143,
            },
            "inputs": [{"name": "image", "shape": [1, 3, 240, 320], "dtype": "float32"}],
            "outputs": [{"name": "scores", "shape": [1, 4420, 2], "dtype": "float32"}],
            "layers": [
                *({"name": row["name"], "operators": [row["op"]]} for row in rows),
                {"name": "Dropout_3", "operators": ["Dropout"]},
                {"name": "Softmax_12", "operators": ["Softmax"]},
            ],
            "passes": [
                {"name": "fold_constants", "nodes_before": 143, "nodes_after": 98, "changes": 45},
                {"name": "merge_reshapes", "nodes_before": 98, "nodes_after": 98, "changes": 0},
            ],
            "difference": difference,
        },
        "lower": {
            "passes": [
                {"name": "fold_batch_normalization", "nodes_before": 98, "nodes_after": 64, "changes": 34}
            ],
            "difference": difference,
            "nodes": [{"name": row["name"], "op": row["op"], "origin": row["origin"]} for row in rows]
            + [{"name": "softmax", "op": "Softmax", "origin": ["Softmax_12"]}],
        },
        "check": {
            "findings": [
                {
                    "code": "MB102",
                    "severity": "warning",
                    "message": "Softmax `softmax`: only the CPU of kl720 runs it",
                    "advice": "cut the model before it and run it in the application",
                    "node": "softmax",
                    "file": "",
                    "line": None,
                    "column": None,
                }
            ],
            "units": {**{row["name"]: "npu" for row in rows}, "softmax": "cpu"},
        },
        "evaluate": {
            "model": "face_detect",
            "chip": "kl720",
            "fps": 1000 / (time + 0.21),
            "npu_fps": 1000 / time,
            "time_ms": time,
            "cpu_time_ms": 0.21,
            "total_ms": time + 0.21,
            "confidence": "fitted",
            "confidence_because": "layer_overhead_cycles",
            "cycles": sum(row["cycles"] for row in rows),
            "macs": sum(row["macs"] for row in rows),
            "mac_utilisation": 0.5,
            "weight_compress": {"wanted": True, "counted": "unpacked", "because": "an upper bound"},
            "batch": 1,
            "cpu_nodes": [
                {
                    "name": "softmax",
                    "op": "Softmax",
                    "reason": "no rule of the NPU has Softmax",
                    "time_ms": 0.21,
                }
            ],
            "activations": "int8",
            "memory": {
                "input": 230_400,
                "output": 8_840,
                "weights": 311_040,
                "feature_maps_peak": 614_400,
                "sram_peak": 498_000,
                "dram_peak": 1_289_000,
            },
            "dram": {
                name: sum(row[key] for row in rows)
                for name, key in (("read", "dram_read"), ("write", "dram_write"), ("weights", "weights"))
            },
            "layers": rows,
        },
        "quantize": {
            "method": "mse",
            "activations": "int8",
            "weights": "int8",
            "samples": 64,
            "tensors": tensors,
        },
        "fixed": {
            "samples": 400,
            "evaluation": "street",
            "optimistic": False,
            "outputs": [
                {
                    "name": "scores",
                    "snr_db": 38.25,
                    "snr_db_mean": 39.5,
                    "cosine": 0.99993,
                    "max_abs": 0.0412,
                },
                {"name": "boxes", "snr_db": 21.5, "snr_db_mean": 22.0, "cosine": 0.9965, "max_abs": 0.31},
            ],
            "layers": [
                {"name": name, "origin": [name], "snr_db": 52.0 - 0.9 * index - (11 if index == 13 else 0)}
                for index, name in enumerate(names)
            ],
            "accuracy": {
                "labelled": 400,
                "float": {"top1": 0.9875, "top5": 1.0},
                "fixed": {"top1": 0.985, "top5": 1.0},
                "drop": {"top1": 0.0025, "top5": 0.0},
            },
        },
        "compile": {
            "batch": {"desired": None, "achieved": 1, "reasons": []},
            "cycles": sum(row["cycles"] for row in rows),
            "layers": [_operator(row) for row in rows],
            "memory": {
                "input": 307_200,
                "output": 8_840,
                "working": 614_400,
                "command": 18_220,
                "weights": 330_240,
                "host": 512,
                "sram_peak": 498_000,
                "dram_peak": 1_290_000,
            },
        },
        "hardware": {
            "samples": 4,
            "random": False,
            "equal": True,
            "outputs": [{"name": "scores", "equal": True, "differing": 0}],
            "layers": [{"name": name, "equal": True, "differing": 0} for name in names],
            "cycles": 5_412_332,
        },
    }


PACKED = {
    "name": "doorbell",
    "target": "cam",
    "chip": "kl720",
    "format": "nef",
    "silicon": False,
    "files": [{"path": "models_720.sim.nef", "size": 349_184, "sha256": "ab" * 32}],
}
ACCEPT: dict[str, Any] = {"snr_db": {"scores": 30, "boxes": 10}, "top1_drop": 0.01, "cpu_nodes": 1}
PREPROCESS = {
    "image": {"resize": "letterbox", "fill": 114, "colour": "bgr", "mean": [127, 128, 129], "std": 128}
}


def failure(action: str, what: str, state: str = "failed", **more: str) -> dict[str, Any]:
    """What the builder hands on for a stage that left nothing."""
    problem = {"what": what, "where": "", "why": "", "advice": "", "code": "", **more}
    return {"action": action, "state": state, "exit_code": 1, "problems": [problem]}


class Maker:
    """Writes stage files and collects the report of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages = stages()
        self.failures: dict[str, Any] = {}
        self.package: dict[str, Any] | None = PACKED
        self.accept: Mapping[str, Any] = ACCEPT
        self.preprocess: Mapping[str, Any] = PREPROCESS
        self.id: int | None = 32769

    def fail(self, role: str, what: str, state: str = "failed", **more: str) -> None:
        """Replaces what a stage left by its failure."""
        self.stages.pop(role, None)
        if role == "package":
            self.package = None
        self.failures[role] = failure(f"face_detect@cam:{role}", what, state, **more)

    def write(self, name: str, data: Any) -> Path:
        """One JSON file."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    def files(self) -> dict[str, Path]:
        """Role -> file, failures included."""
        found = {role: self.write(role, data) for role, data in self.stages.items()}
        return found | {
            f"{role}.failure": self.write(f"{role}-failed", data) for role, data in self.failures.items()
        }

    def collect(self, name: str = "face_detect") -> Report:
        """The report of one model."""
        files = self.files()
        about = {role: path for role, path in files.items() if role.startswith("package")}
        if self.package is not None:
            about["package"] = self.write("package", self.package)
        model = ModelInputs(
            name,
            {role: path for role, path in files.items() if role not in about},
            id=self.id,
            version="0001" if self.id else None,
            accept=self.accept,
            preprocess=self.preprocess,
        )
        return collect(PACKAGE, [model], about)
