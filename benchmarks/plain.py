"""The other side of the comparisons: what a good engineer writes first.

The authors' split-attention module (``resnest`` 0.0.5) in the same networks, a ``DataLoader`` that decodes JPEG
and transforms image by image, and an eager float32 loop with the same optimiser and schedule.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps
from resnest.torch.splat import SplAtConv2d
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from evaluators import Metrics, Recipe
from search_spaces import Arch, ResNeSt, SplitAttention, Task, build

TASK = Task(num_classes=10, resolution=32, channels=3, small_images=True)
MEAN = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32)
DEVIATION = np.array([0.2470, 0.2435, 0.2616], dtype=np.float32)
VALIDATION = 0.25


@dataclass
class Jpegs(TorchDataset[tuple[Tensor, int]]):
    """Encoded images and their labels, decoded when asked for; ``augment`` crops and mirrors."""

    images: list[bytes]
    labels: list[int]
    augment: bool

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.open(io.BytesIO(self.images[index])).convert("RGB")
        if self.augment:
            left, top = torch.randint(9, (2,)).tolist()
            image = ImageOps.expand(image, 4).crop((left, top, left + 32, top + 32))
            if torch.rand(()) < 0.5:
                image = ImageOps.mirror(image)
        pixels = (np.asarray(image, dtype=np.float32) / 255 - MEAN) / DEVIATION
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), self.labels[index]


def jpegs(folder: Path, count: int) -> tuple[Jpegs, Jpegs]:
    """The first ``count`` images of the folder's train.parquet, split into train and validation."""
    table = pq.read_table(folder / "train.parquet").slice(0, count)
    images = [image["bytes"] for image in table["image"].to_pylist()]
    labels = table["label"].to_pylist()
    held_out = round(VALIDATION * count)
    validation = Jpegs(images[:held_out], labels[:held_out], augment=False)
    return Jpegs(images[held_out:], labels[held_out:], augment=True), validation


def authors_network(arch: Arch, task: Task = TASK) -> nn.Module:
    """``build``, every split-attention module being the authors' own."""
    network = build(arch, task)
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, SplitAttention):
                setattr(parent, name, _authors(module))
    return network


def _authors(ours: SplitAttention) -> SplAtConv2d:
    conv = ours.conv
    theirs = SplAtConv2d(
        conv.in_channels,
        conv.out_channels // ours.radix,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        groups=conv.groups // ours.radix,
        bias=conv.bias is not None,
        radix=ours.radix,
        norm_layer=nn.BatchNorm2d,
    )
    theirs.load_state_dict(ours.state_dict())
    return theirs


def plain_train(
    network: nn.Module,
    train: TorchDataset[tuple[Tensor, int]],
    validation: TorchDataset[tuple[Tensor, int]],
    recipe: Recipe,
    workers: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[Metrics]:
    """Accuracy and images a second after every epoch."""
    network = network.to(device)
    loader = DataLoader(
        train, recipe.batch_size, shuffle=True, num_workers=workers, drop_last=True
    )
    held_out = DataLoader(validation, 256, num_workers=workers)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )
    for epoch in range(recipe.epochs):
        started = perf_counter()
        network.train()
        for step, (images, labels) in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr_at(epoch + (step + 0.5) / len(loader))
            logits = network(images.to(device))
            loss = F.cross_entropy(
                logits, labels.to(device), label_smoothing=recipe.label_smoothing
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained = perf_counter() - started
        yield {
            "epoch": epoch + 1,
            "accuracy": accuracy(network, held_out),
            "images_per_second": len(loader) * recipe.batch_size / trained,
            "seconds": perf_counter() - started,
        }


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader[tuple[Tensor, int]]) -> float:
    network.eval()
    device = next(network.parameters()).device
    right = torch.cat(
        [
            network(images.to(device)).argmax(1).cpu() == labels
            for images, labels in loader
        ]
    )
    return float(right.double().mean())


def small_network(number: int) -> ResNeSt:
    """One of sixteen: four settings of the widths by four of the attention; 8 to 30 million MACs."""
    widths = ((8, 16, 32, 32), (8, 16, 32, 64), (16, 16, 32, 64), (16, 32, 48, 64))[
        number % 4
    ]
    radix, cardinality = ((1, 1), (2, 1), (2, 2), (4, 1))[number // 4]
    return ResNeSt(
        (1, 1, 1, 1), widths, radix=radix, cardinality=cardinality, stem_width=8
    )
