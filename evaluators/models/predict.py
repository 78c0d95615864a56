"""Classify image files with a trained network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from evaluators.devices.device import resolve_device
from evaluators.models.folder import load_model, read_model_folder
from evaluators.models.preprocess import Preprocess
from search_spaces import Network


@dataclass(frozen=True)
class Prediction:
    """Labels of an image with their probabilities, most probable first; or why there are none."""

    path: Path
    classes: tuple[tuple[str, float], ...] = ()
    error: str | None = None


def predict(
    folder: str | Path,
    files: Iterable[Path],
    *,
    top: int = 5,
    batch_size: int = 32,
    device: str = "cpu",
) -> Iterator[Prediction]:
    """Predictions of a model folder for image files, in their order, a batch at a time.

    A file that cannot be read gets a prediction that says why; the others get theirs.

    Raises:
        ValueError: if the folder holds no network, or for a ``top`` or ``batch_size`` below 1.
    """
    for name, value in (("top", top), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    facts = read_model_folder(folder)
    network = load_model(folder, device)
    where = resolve_device(device)
    top = min(top, len(facts.labels))
    remaining = iter(files)
    while batch := list(islice(remaining, batch_size)):
        images, errors = _read(batch, facts.preprocess)
        found = iter(_most_probable(network, images, top, where))
        for path in batch:
            if path in errors:
                yield Prediction(path, error=errors[path])
                continue
            # the images that could be read are in the order of the batch
            best = [(facts.labels[number], value) for number, value in next(found)]
            yield Prediction(path, tuple(best))


def _read(
    files: Iterable[Path], preprocess: Preprocess
) -> tuple[list[Tensor], dict[Path, str]]:
    """The images that can be read, and why the others cannot."""
    images: list[Tensor] = []
    errors: dict[Path, str] = {}
    for path in files:
        try:
            images.append(preprocess.read(path))
        except ValueError as error:
            errors[path] = str(error)
    return images, errors


def _most_probable(
    network: Network, images: list[Tensor], top: int, device: torch.device
) -> list[list[tuple[int, float]]]:
    """The ``top`` classes of each image with their probabilities."""
    if not images:
        return []
    with torch.inference_mode():
        batch = torch.stack(images).to(device)
        logits = network(batch).float()
    # softmax in float32, whatever the network computes in
    best = logits.softmax(1).topk(top)
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [list(zip(classes, values, strict=True)) for classes, values in rows]
