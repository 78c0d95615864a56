"""Weights to start from: the authors' own for ImageNet, a file's, or those of a network trained before."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from evaluators.data.download import download
from evaluators.data.progress import Progress
from evaluators.data.user_cache import cache_folder
from evaluators.devices.seeding import build_seeded
from evaluators.models.folder import (
    TrainedModel,
    load_model,
    load_strictly,
    load_weights,
    read_model_folder,
)
from evaluators.models.preprocess import Preprocess
from nas.retraining.inherit import inherit
from search_spaces import Arch, Network, Task, reference
from search_spaces.families.official_weights import OFFICIAL

TEST_RESOLUTIONS = {"resnest101": 256, "resnest200": 320, "resnest269": 416}
"""Where the authors test at other than 224 pixels."""


@dataclass(frozen=True)
class Start:
    """What a network starts from: where from, the share of parameters taken, which are (partly) new."""

    source: str
    share: float
    new: tuple[str, ...]


def init_weights(
    network: Network,
    arch: Arch,
    init: str,
    progress: Progress = lambda what, done, total: None,
) -> Start:
    """Fill a freshly built network of ``arch`` with weights: ``official``, a weights file or a model folder.

    The classifier stays new where the number of classes differs, and the first convolution's weights are
    summed over the colours for grey images. A folder with another, smaller network of the family seeds what
    it can (``inherit``).

    Raises:
        ValueError: if there are no such weights, or they are damaged or another network's.
    """
    path = Path(init)
    if init == "official":
        name = official_name(arch)
        weights = official_weights(name, progress)
        source = f"official {name}"
    elif path.is_dir():
        theirs = read_model_folder(path).arch
        # another network of the family: what has the same name and place is taken over
        if theirs.id != arch.id:
            return _seed(network, arch, path, theirs)
        weights = load_weights(path)
        source = init
    else:
        weights = read_weights(path)
        source = init
    adapted, new = _adapt(weights, network)
    load_strictly(network, adapted, source)
    return Start(source, 1 - _count(network, new) / _count(network), new)


def official_name(arch: Arch) -> str:
    """The published network that this is; ``ValueError`` if its authors have published no weights."""
    for name in OFFICIAL:
        if reference(name).id == arch.id:
            return name
    raise ValueError(
        f"there are official weights for {', '.join(OFFICIAL)}, not for {arch.space} {arch.id}"
    )


def official_weights(
    name: str, progress: Progress = lambda what, done, total: None
) -> dict[str, Tensor]:
    """Downloaded once into the user's cache folder, and checked."""
    published = OFFICIAL[name]
    # the name holds the sum's first digits: other weights get another file
    name_there = published.url.rpartition("/")[2]
    path = cache_folder(None) / "weights" / name_there

    def tell(done: int, total: int) -> None:
        progress(f"downloading {name}", done, total)

    return read_weights(
        download(published.url, path, sha256=published.sha256, progress=tell)
    )


def official_model(
    name: str, init: str | None, progress: Progress
) -> tuple[TrainedModel, Network]:
    """A published network as its authors trained it: 1000 classes, named by their numbers.

    Raises:
        ValueError: if there is no such network, or ``init`` is not ``official``.
    """
    try:
        reference(name)
    except ValueError as error:
        raise ValueError(f"{name} is no model folder, and there is {error}") from None
    if init != "official":
        raise ValueError(
            f"{name} is a network without weights: --init official takes the authors', or train it first"
            + (f" (--init {init} is for training)" if init else "")
        )
    # the published accuracies are of these sides
    arch = reference(name)
    task = Task(resolution=TEST_RESOLUTIONS.get(name, 224))
    network = build_seeded(arch, task, seed=0)
    init_weights(network, arch, init, progress)
    model = TrainedModel(
        arch,
        task,
        official_preprocess(task.resolution),
        tuple(map(str, range(task.num_classes))),
        found_by={
            "network": f"{name} (Zhang et al. 2020, ResNeSt: Split-Attention Networks)",
            "weights": f"the authors', trained on ImageNet: {OFFICIAL[name].url}",
            "licence": "Apache-2.0, their authors' (github.com/zhanghang1989/ResNeSt)",
        },
    )
    return model, network


def official_preprocess(resolution: int) -> Preprocess:
    """How the authors test: 32 pixels of margin and bicubic from 320 pixels on, an eighth and bilinear below."""
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    if resolution < 320:
        return Preprocess(resolution, mean, std, 0.875)
    return Preprocess(resolution, mean, std, resolution / (resolution + 32), "bicubic")


def read_weights(path: Path) -> dict[str, Tensor]:
    """A ``state_dict`` from a ``.safetensors`` file or one of ``torch.save``; no code in it is run.

    Raises:
        ValueError: naming the file, if it is missing, damaged or holds anything else.
    """
    if not path.is_file():
        raise ValueError(
            f"{path}: no such weights file or model folder, and not 'official'"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        LookupError,
        ValueError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: damaged, or no file of weights ({reason:.120})"
        ) from error
    if not isinstance(weights, Mapping) or not all(
        isinstance(value, Tensor) for value in weights.values()
    ):
        raise ValueError(f"{path}: holds no state_dict, which is tensors by name")
    return dict(weights)


def _adapt(
    weights: dict[str, Tensor], network: Network
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights for this number of classes and image channels, and the names of those that stay new."""
    ours = network.state_dict()
    adapted = dict(weights)
    new = []
    # the first convolution: in order of registration it is the stem's
    first = next(name for name, value in ours.items() if value.ndim == 4)
    for name, value in ours.items():
        if name not in adapted:
            if name.endswith("num_batches_tracked"):  # old checkpoints have none
                adapted[name] = value
            continue
        theirs = adapted[name]
        if (
            name == first
            and theirs.ndim == 4
            and theirs.shape[1] == 3
            and value.shape[1] == 1
        ):
            # a grey image is three equal channels, so the sum answers to it as the three did
            adapted[name] = theirs.sum(1, keepdim=True)
        classifier = name.rpartition(".")[0] == network.last_layer
        # other classes: nothing of it can be used
        if classifier and theirs.shape[:1] != value.shape[:1]:
            adapted[name] = value
            new.append(name)
    return adapted, tuple(new)


def _seed(network: Network, arch: Arch, folder: Path, theirs: Arch) -> Start:
    # families name their modules differently: hardly a pair would be found
    if theirs.space != arch.space:
        raise ValueError(f"{folder}: a {theirs.space} cannot seed a {arch.space}")
    smaller = load_model(folder)
    if smaller.task.channels != network.task.channels:
        raise ValueError(
            f"{folder}: is for images of {smaller.task.channels} channels, not {network.task.channels}"
        )
    share, new = inherit(network, smaller)
    return Start(str(folder), share, new)


def _count(network: Network, names: tuple[str, ...] | None = None) -> int:
    return sum(
        p.numel()
        for name, p in network.named_parameters()
        if names is None or name in names
    )
