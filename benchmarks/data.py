"""What decoding once is worth: a pass over CIFAR-10 from the mapped cache against one that decodes with Pillow.

    python benchmarks/data.py FOLDER_WITH_CIFAR10_AS_PARQUET [images]

Prints how long the first decoding, a load by a process that finds the cache, and alternating passes of both
kinds take: batches of 128 float32 images, shifted and mirrored. The Pillow side is what one worker of a
``DataLoader`` does: decode, pad, crop, flip, convert, image by image.
"""

from __future__ import annotations

import io
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image, ImageOps
from pyarrow import parquet
from torch import Tensor

from evaluators import Augmentation, Dataset, DataSettings, load

BATCH = 128
PASSES = 3
LOAD = """
import sys; from time import perf_counter; from evaluators import DataSettings, load
started = perf_counter()
load(DataSettings("cifar10", sys.argv[1], cache=sys.argv[2]))
print(perf_counter() - started)
"""


def mapped(dataset: Dataset, count: int) -> Iterator[Tensor]:
    generator, augmentation = (
        torch.Generator().manual_seed(0),
        Augmentation(shift=4, flip=True),
    )
    for indices in torch.randperm(len(dataset.train.labels))[:count].split(BATCH):
        batch = dataset.train.take(indices, torch.device("cpu"))
        yield dataset.normalise(augmentation.apply(batch.images, generator))


def pillow(encoded: list[bytes], dataset: Dataset) -> Iterator[Tensor]:
    mean, deviation = (
        value.view(1, -1, 1, 1).cpu() for value in (dataset.mean, dataset.deviation)
    )
    for start in range(0, len(encoded), BATCH):
        images = []
        for content in encoded[start : start + BATCH]:
            image = ImageOps.expand(Image.open(io.BytesIO(content)).convert("RGB"), 4)
            left, top = random.randrange(9), random.randrange(9)
            image = image.crop((left, top, left + 32, top + 32))
            image = ImageOps.mirror(image) if random.random() < 0.5 else image
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).float())
        yield (torch.stack(images) - mean) / deviation


def seconds(batches: Iterator[Tensor]) -> float:
    started = perf_counter()
    for _ in batches:
        pass
    return perf_counter() - started


def main(root: str, count: int = 10_000) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        started = perf_counter()
        dataset = load(DataSettings("cifar10", root, cache=cache))
        cores = len(os.sched_getaffinity(0))
        print(
            f"first load, decoding 50,000 images on {cores} cores: {perf_counter() - started:.1f} s"
        )
        again = subprocess.run(
            [sys.executable, "-c", LOAD, root, cache],
            capture_output=True,
            text=True,
            check=True,
        )
        print(
            f"load by another process, cache found: {float(again.stdout) * 1e3:.1f} ms"
        )
        column = parquet.read_table(next(Path(root).glob("train*.parquet")))["image"][
            :count
        ]
        encoded = [image["bytes"] for image in column.to_pylist()]
        times = [
            (seconds(mapped(dataset, count)), seconds(pillow(encoded, dataset)))
            for _ in range(PASSES)
        ]
    ratios = [other / ours for ours, other in times]
    ours, other = (statistics.median(side) for side in zip(*times, strict=True))
    print(
        f"a pass over {count:,} images on one thread: mapped {ours:.2f} s, decoded with Pillow {other:.2f} s"
    )
    print(
        f"ratio {statistics.median(ratios):.1f} (of {PASSES} alternating: {min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
