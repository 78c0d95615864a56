"""A trained network as a folder: architecture, task, weights, preprocessing, labels, and what is known of it.

Writing and reading weights needs safetensors, which is imported there: proxy training does without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluators.devices.device import resolve_device
from evaluators.devices.seeding import build_seeded
from evaluators.durable import make_folder, replace_durably
from evaluators.models.preprocess import Preprocess
from search_spaces import Arch, Network, Task, arch_from_dict

MODEL_FORMAT = 1
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class TrainedModel:
    """What a model folder says beside the weights.

    Attributes:
        labels: names of the classes, in the order of the logits.
        metrics: what was measured, by the names of the trials table (``accuracy``, ``test_accuracy``, …), and
            on what: ``data``, ``device``.
        found_by: how the network came about: search, trial, recipe, epochs, seed, …

    Raises:
        ValueError: if the parts do not fit each other.
    """

    arch: Arch
    task: Task
    preprocess: Preprocess
    labels: tuple[str, ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    found_by: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.labels) != self.task.num_classes:
            raise ValueError(
                f"{len(self.labels)} labels for {self.task.num_classes} classes"
            )
        if len(self.preprocess.mean) != self.task.channels:
            raise ValueError(
                f"preprocess makes {len(self.preprocess.mean)} channels, the network takes {self.task.channels}"
            )

    @property
    def parts(self) -> dict[str, object]:
        """Content of the folder's JSON files by file name."""
        return {
            "arch.json": {"arch": self.arch.to_dict(), "task": vars(self.task)},
            "preprocess.json": self.preprocess.to_dict(),
            "labels.json": list(self.labels),
            "model.json": {
                "format": MODEL_FORMAT,
                "metrics": dict(self.metrics),
                "found_by": dict(self.found_by),
            },
        }


def write_model_folder(
    folder: Path, model: TrainedModel, weights: Mapping[str, Tensor]
) -> None:
    """Write a model folder, or replace the files of one; weights last, every file whole or as it was.

    ``weights`` is the ``state_dict`` of ``build(model.arch, model.task)``.

    Raises:
        ValueError: if the weights are not those of that network.
        OSError: if the folder cannot be written.
    """
    # before anything is written: a folder that cannot be loaded must not come to be
    load_strictly(_blank(model), weights, "weights")
    make_folder(folder)
    for name, content in model.parts.items():
        _replace(
            folder / name,
            json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
        )
    # last: a new folder without weights is no model yet
    _write_weights(folder, weights)


def _write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save_file

    # a copy of each: safetensors refuses tensors that share memory
    own = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in weights.items()
    }
    unfinished = folder / f".{WEIGHTS}.unfinished"
    save_file(own, unfinished)
    replace_durably(unfinished, folder / WEIGHTS)


def read_model_folder(folder: str | Path) -> TrainedModel:
    """What a model folder says; the weights stay where they are (``load_model``).

    Raises:
        ValueError: naming the file that is missing, damaged or of another version.
    """
    folder = Path(folder)
    arch, preprocess, labels, model = (
        _json(folder, name)
        for name in ("arch.json", "preprocess.json", "labels.json", "model.json")
    )
    _check_format(folder, model)
    try:
        if not (isinstance(labels, list) and all(isinstance(x, str) for x in labels)):
            raise ValueError("labels.json must be a list of strings")
        return TrainedModel(
            arch_from_dict(arch["arch"]),
            Task(**arch["task"]),
            Preprocess.from_dict(preprocess),
            tuple(labels),
            dict(model["metrics"]),
            dict(model["found_by"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{folder}: {reason}") from error


def _check_format(folder: Path, model: object) -> None:
    found = model.get("format") if isinstance(model, dict) else model
    if not isinstance(model, dict) or found != MODEL_FORMAT:
        raise ValueError(
            f"{folder / 'model.json'}: format {found!r:.40}; this version reads format {MODEL_FORMAT}"
        )


def load_weights(folder: str | Path) -> dict[str, Tensor]:
    """The weights in a model folder, by the names of the network's ``state_dict``.

    Raises:
        ValueError: naming the file, if it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{path}: no such file, so {folder} has no weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: damaged or no safetensors file ({error})") from error


def load_model(folder: str | Path, device: str = "cpu") -> Network:
    """The trained network of a model folder, in eval mode.

    Raises:
        ValueError: naming the file that is missing, damaged or does not fit.
    """
    # weights of its own, all replaced: load_strictly sees to it
    network = _blank(read_model_folder(folder))
    load_strictly(network, load_weights(folder), str(Path(folder) / WEIGHTS))
    return network.eval().to(resolve_device(device))


def _blank(model: TrainedModel) -> Network:
    return build_seeded(model.arch, model.task, seed=0)


def load_strictly(network: Network, weights: Mapping[str, Tensor], name: str) -> None:
    """``load_state_dict`` whose error is one line."""
    expected = network.state_dict()
    for key in (key for key in expected if key not in weights):
        raise ValueError(
            f"{name}: {key} is missing; these are not the weights of {_title(network)}"
        )
    for key, tensor in weights.items():
        if key not in expected:
            raise ValueError(
                f"{name}: {key} is unknown; these are not the weights of {_title(network)}"
            )
        if (ours := tuple(expected[key].shape)) != (theirs := tuple(tensor.shape)):
            raise ValueError(
                f"{name}: {key} has shape {theirs}, {_title(network)} needs {ours}"
            )
    with torch.no_grad():
        network.load_state_dict(weights)


def _title(network: Network) -> str:
    return f"this architecture with {network.task.num_classes} classes"


def _json(folder: Path, name: str) -> Any:
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{folder}: no model folder, {name} is missing")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from error


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    replace_durably(unfinished, path)
