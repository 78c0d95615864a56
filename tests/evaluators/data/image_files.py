"""Images in files, made up: each is told from any other by its first pixel."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from evaluators import DataSettings, Split, load


def picture(number: int, side: int = 8, mode: str = "RGB") -> Image.Image:
    """One that is told from any other by its first pixel."""
    image = Image.new("RGB", (side, side), (number, 2 * number % 256, 0))
    return image.convert(mode)


def encoded(number: int, **options: Any) -> bytes:
    file = io.BytesIO()
    picture(number, **options).save(file, "PNG")
    return file.getvalue()


def write_folder(
    folder: Path, classes: int = 3, each: int = 8, first: int = 0, **options: Any
) -> Path:
    """Class c holds the pictures first + c * each and on."""
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(first + label * each, first + (label + 1) * each):
            (folder / f"class{label}" / f"{number}.png").write_bytes(
                encoded(number, **options)
            )
    return folder


def write_shard(
    path: Path, numbers: list[int], labels: list[Any], **options: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [
        {"bytes": encoded(number, **options), "path": None} for number in numbers
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(content, kind), "label": labels})
    parquet.write_table(table, path, row_group_size=4)
    return path


def write_cifar(root: Path, each: int = 20) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(
        [*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]
    ):
        data = np.full((each, 3072), 7, dtype=np.uint8)
        data[:, 0] = np.arange(number * each, (number + 1) * each)
        content = {"data": data, "labels": [index % 10 for index in range(each)]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return root


def numbers(split: Split) -> list[int]:
    return sorted(split.images[:, 0, 0, 0].tolist())


def settings(name: str, root: Path, **more: Any) -> DataSettings:
    return DataSettings(name, str(root), **more)


def assert_refused(
    message: str, wanted: DataSettings, door: Callable[..., object] = load
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        door(wanted)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def make_unreadable(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])
