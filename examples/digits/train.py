"""Trains the digits network and writes models/ and data/: `python train.py` (about a minute on one core).

Needs `pip install modelbuild[train]`. The seed fixes everything; another kind of CPU may still round matrix
products differently, so the bytes of the model come out again on machines of one kind only."""

from __future__ import annotations

import argparse
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from export import to_onnx
from network import build, flatten
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from modelbuild.samples.preprocess import apply, from_settings

SIZE = 16  # of the network's input; the pictures are 8x8
PREPROCESS = {"resize": "stretch", "colour": "gray", "mean": 127.5, "std": 127.5}  # as in models.yaml
TEST, CALIBRATION = 400, 64  # pictures; the other 1,333 train
EPOCHS, BATCH, RATE, DECAY = 60, 32, 4e-3, 2e-2

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def pictures() -> tuple[Pixels, NDArray[np.int64]]:
    """1,797 greyscale pictures [N, 8, 8] of 0..255, bright strokes on black, and their digits."""
    source = load_digits()
    return np.round(source.images * (255 / 16)).astype(np.uint8), source.target.astype(np.int64)


def split(count: int) -> dict[str, NDArray[np.int64]]:
    """Disjoint, sorted picks for test, calibration and training."""
    order = np.random.default_rng(2024).permutation(count)
    parts = np.split(order, [TEST, TEST + CALIBRATION])
    return {name: np.sort(part) for name, part in zip(("test", "calibration", "train"), parts, strict=True)}


def tensors(images: Pixels) -> Floats:
    """What a build will feed: [N, 16, 16, 1]."""
    p = from_settings(PREPROCESS)
    return np.stack([apply(Image.fromarray(image), p, (1, SIZE, SIZE)) for image in images])[..., None][:, 0]


def augment(images: Floats, rng: np.random.Generator) -> Floats:
    """Each picture moved by up to two pixels."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=images.min())
    moves = rng.integers(0, 5, (len(images), 2))
    return np.stack([image[y : y + SIZE, x : x + SIZE] for image, (y, x) in zip(padded, moves, strict=True)])


def forward(layers: list[Any], x: Floats, training: bool) -> Floats:
    """Logits [N, 10]."""
    for layer in layers:
        x = layer.forward(x, training)
    return x


class Adam:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(self, layers: list[Any]) -> None:
        self.layers = [layer for layer in flatten(layers) if layer.parameters]
        self.first = [
            {name: np.zeros_like(v) for name, v in layer.parameters.items()} for layer in self.layers
        ]
        self.second = [
            {name: np.zeros_like(v) for name, v in layer.parameters.items()} for layer in self.layers
        ]
        self.steps = 0

    def step(self, rate: float) -> None:
        """Moves every parameter against its gradient."""
        self.steps += 1
        correction = np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for layer, first, second in zip(self.layers, self.first, self.second, strict=True):
            for name, value in layer.parameters.items():
                gradient = layer.gradients[name]
                first[name] += np.float32(0.1) * (gradient - first[name])
                second[name] += np.float32(0.001) * (gradient * gradient - second[name])
                if name == "weight":
                    value *= np.float32(1 - rate * DECAY)
                value -= (
                    np.float32(rate * correction) * first[name] / (np.sqrt(second[name]) + np.float32(1e-8))
                )


def train(images: Floats, digits: NDArray[np.int64], epochs: int) -> list[Any]:
    """The trained layers."""
    rng = np.random.default_rng(7)
    layers = build(rng)
    optimizer = Adam(layers)
    batches = len(images) // BATCH
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        total = 0.0
        for batch in range(batches):
            picked = order[batch * BATCH : (batch + 1) * BATCH]
            logits = forward(layers, augment(images[picked], rng), True)
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities = shifted / shifted.sum(axis=1, keepdims=True)
            total -= float(np.log(probabilities[np.arange(BATCH), digits[picked]] + 1e-9).mean())
            gradient = probabilities
            gradient[np.arange(BATCH), digits[picked]] -= 1
            gradient /= BATCH
            for layer in reversed(layers):
                gradient = layer.backward(gradient)
            progress = (epoch + batch / batches) / epochs
            optimizer.step(RATE * 0.5 * (1 + np.cos(np.pi * progress)))
        print(f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}", flush=True)
    return layers


def png(image: Pixels) -> bytes:
    """A greyscale PNG with stored blocks: the same bytes with every version of every compressor."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 0))
        + chunk(b"IEND", b"")
    )


def write_pictures(folder: Path, images: Pixels, digits: NDArray[np.int64], picks: NDArray[np.int64]) -> None:
    """`folder`/0012.png ... named by their place in the source, and `folder`.txt with their digits."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in picks:
        (folder / f"{index:04d}.png").write_bytes(png(images[index]))
    lines = [f"{folder.name}/{index:04d}.png {digits[index]}\n" for index in picks]
    folder.with_suffix(".txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    """Writes data/ and models/digits.onnx under `--out`, and says how good the model is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    images, digits = pictures()
    picks = split(len(images))
    for name in ("test", "calibration"):
        write_pictures(arguments.out / "data" / name, images, digits, picks[name])
    with threadpool_limits(1):  # the order of sums must not depend on the number of cores
        layers = train(tensors(images[picks["train"]]), digits[picks["train"]], arguments.epochs)
    model = arguments.out / "models" / "digits.onnx"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(to_onnx(layers, SIZE))
    guesses = forward(layers, tensors(images[picks["test"]]), False).argmax(axis=1)
    correct = int((guesses == digits[picks["test"]]).sum())
    print(f"{correct} of {TEST} test pictures are right; wrote {model} ({model.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
