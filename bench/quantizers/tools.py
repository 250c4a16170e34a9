"""The lines of the table: peers with what each is told, and our chips. A new line is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRIVERS = Path(__file__).with_name("drivers")
# Schemes are those of the activations; weights are symmetric with a scale a channel where a tool can.
ASYMMETRIC, SYMMETRIC, POWER_OF_TWO = "asymmetric", "symmetric", "power of two"
INT16, INT4 = "int16", "int4 weights"

# environment -> what pip installs there, the peer first
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "ort": ("onnxruntime==1.31.1", "onnx==1.23.2", "sympy"),
    "nncf": ("nncf==3.4", "openvino", "onnx", "onnxruntime"),
    "aimet": ("aimet-onnx==2.42.0", "onnxruntime"),
    "esp": ("esp-ppq==1.3.12", "torch", "onnxruntime"),
    "quark": ("amd-quark==0.13", "torch", "onnxruntime"),
}


@dataclass(frozen=True)
class Peer:
    """A peer with its settings; `driver` is the script that its environment's interpreter runs."""

    name: str
    scheme: str
    environment: str
    driver: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Ours:
    """modelbuild for a chip, with the default recipe unless `quantize` says otherwise."""

    name: str
    scheme: str
    chip: str
    quantize: Mapping[str, Any] = field(default_factory=dict)


def _onnxruntime(scheme: str, method: str, symmetric: bool, bits: int = 8) -> Peer:
    settings = {"method": method, "symmetric": symmetric, "bits": bits}
    return Peer(f"onnxruntime {method}", scheme, "ort", DRIVERS / "onnxruntime_static.py", settings)


def _nncf(preset: str) -> Peer:
    # "performance" is called symmetric there, but takes unsigned codes where nothing is negative
    return Peer(f"NNCF {preset}", ASYMMETRIC, "nncf", DRIVERS / "nncf_onnx.py", {"preset": preset})


def _aimet(name: str, scheme: str, equalize: bool = False) -> Peer:
    settings = {"scheme": scheme, "equalize": equalize}
    return Peer(f"AIMET {name}", ASYMMETRIC, "aimet", DRIVERS / "aimet.py", settings)


def _esp(scheme: str, platform: str, setting: str) -> Peer:
    settings = {"platform": platform, "setting": setting}
    return Peer(f"esp-ppq {platform}", scheme, "esp", DRIVERS / "esp.py", settings)


def _quark(scheme: str, config: str) -> Peer:
    return Peer(f"Quark {config}", scheme, "quark", DRIVERS / "quark_onnx.py", {"config": config})


_METHODS = ("MinMax", "Percentile", "Entropy")
PEERS: tuple[Peer, ...] = (
    *(_onnxruntime(ASYMMETRIC, method, False) for method in _METHODS),
    _nncf("performance"),
    _nncf("mixed"),
    _aimet("min_max", "min_max"),
    _aimet("tf_enhanced", "post_training_tf_enhanced"),
    _aimet("tf_enhanced, equalized", "post_training_tf_enhanced", True),
    _quark(ASYMMETRIC, "S8S8_AAWS"),
    *(_onnxruntime(SYMMETRIC, method, True) for method in _METHODS),
    _esp(SYMMETRIC, "TRT_INT8", "trt_setting"),
    _quark(SYMMETRIC, "A8W8"),
    _esp(POWER_OF_TWO, "ESPDL_INT8", "espdl_setting"),
    _quark(POWER_OF_TWO, "XINT8"),
    _onnxruntime(INT16, "MinMax", True, 16),
)
OURS: tuple[Ours, ...] = (
    Ours("modelbuild modalix", ASYMMETRIC, "modalix"),
    Ours("modelbuild kl720", SYMMETRIC, "kl720"),
    Ours("modelbuild kl520", POWER_OF_TWO, "kl520"),
    Ours("modelbuild kl720", INT16, "kl720", {"activations": "int16", "weights": "int16"}),
    Ours("modelbuild kl530", INT4, "kl530", {"weights": "int4"}),
)
SCHEMES = (ASYMMETRIC, SYMMETRIC, POWER_OF_TWO, INT16, INT4)
