"""Manifests with one target, whose `quantize:` is told."""

from __future__ import annotations

import json
from typing import Any

from modelbuild.manifest.settings import effective


def text(quantize: Any, chip: str, beside: str = "") -> str:
    return f"""\
modelbuild: 1
samples: {{faces: {{files: faces/*.png}}, street: {{files: street/*.png}}}}
defaults: {{calibration: faces, accept: {{snr_db: 20}}}}
models:
  net: {{source: net.onnx}}
targets:
  cam:
    chip: {chip}
    quantize: {json.dumps(quantize)}
{beside}"""


def values(project: Any, quantize: Any, chip: str) -> dict[str, Any]:
    return dict(effective(project.load(text(quantize, chip)), "net", "cam").values)
