"""Encoded images to rows of an array of bytes, by processes that need neither torch nor the package.

This file imports nothing of ours, because it is also the program of the workers (``decode_pool``): so they
start in a fraction of a second, and the user's own script is not imported again, as ``multiprocessing`` would.
"""

from __future__ import annotations

import io
import json
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# Path of an image file, content of one, pixels (H, W, 3), or why there is nothing.
Stored = Path | bytes | NDArray[np.uint8] | str


class Entry(NamedTuple):
    """Images of one file: their ``rows`` in it, ascending, and their ``positions`` in the output.

    ``kind`` is ``file`` (one image), ``parquet`` (rows of the row group ``group``) or ``cifar``.
    """

    kind: str
    path: str
    group: int
    rows: list[int]
    positions: list[int]


class Failure(NamedTuple):
    """An image that could not be read: its position in the output, its name, and why."""

    position: int
    name: str
    reason: str


class ColourError(ValueError):
    """An image has colour where grey ones were expected."""


def decode(entries: list[Entry], output: str) -> list[Failure]:
    """Decode into the .npy file ``output``, uint8 (N, resolution, resolution, channels).

    An image is turned upright, cut to its central square and resized; grey ones become coloured where there
    are three channels, transparent ones lie on white. Those that cannot be read are returned, their rows left.

    Raises:
        ColourError: for an image with colour where the output has one channel.
    """
    # every process writes its own rows of one file
    array = np.load(output, mmap_mode="r+")
    resolution, channels = array.shape[2:]
    failures = []
    with warnings.catch_warnings():
        # Pillow's, about metadata; what cannot be decoded raises
        warnings.simplefilter("ignore")
        for entry in entries:
            named = zip(entry.positions, images(entry), strict=True)
            for position, (name, stored) in named:
                try:
                    array[position] = pixels(stored, resolution, channels)
                except ColourError as error:
                    raise ColourError(f"{name}: {error}") from None
                # decoders raise anything, SyntaxError and struct.error included
                except Exception as error:
                    failures.append(Failure(position, name, reason(error)))
    return failures


def reason(error: Exception) -> str:
    """Why an image cannot be decoded, in words."""
    if isinstance(error, UnidentifiedImageError):
        return "no image of a kind that is known, or its head is damaged or cut short"
    return str(error) or type(error).__name__


def images(entry: Entry) -> Iterator[tuple[str, Stored]]:
    """Name and content of each of the entry's images, in order."""
    if entry.kind == "file":
        yield entry.path, Path(entry.path)
    elif entry.kind == "cifar":
        data = (
            read_cifar(entry.path)["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        )
        yield from ((f"{entry.path} row {row}", data[row]) for row in entry.rows)
    else:
        yield from _parquet_images(entry)


def _parquet_images(entry: Entry) -> Iterator[tuple[str, Stored]]:
    from pyarrow import parquet

    start = 0
    rows = iter(entry.rows)
    with parquet.ParquetFile(entry.path) as file:
        column = [image_column(file.schema_arrow)]
        row = next(rows, None)
        for batch in _batches(file, entry, column):
            while row is not None and row < start + len(batch):
                value = batch.column(0)[row - start].as_py()
                content = value["bytes"] if isinstance(value, dict) else value
                name = f"{entry.path} row group {entry.group} row {row}"
                yield name, "holds no bytes" if content is None else content
                row = next(rows, None)
            if row is None:
                return
            start += len(batch)


def _batches(file: Any, entry: Entry, columns: list[str]) -> Iterator[Any]:
    try:
        yield from file.iter_batches(
            256, row_groups=[entry.group], columns=columns, use_threads=False
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{entry.path}: row group {entry.group} is damaged ({error})"
        ) from error


def image_column(schema: Any) -> str:
    """Name of the column with encoded images: a struct with ``bytes`` inside, or binary."""
    from pyarrow import types

    names = [field.name for field in schema if _holds_images(field.type, types)]
    if not names:
        raise ValueError("no column of images, which is {bytes, path} or binary")
    usual = (name for name in ("image", "img") if name in names)
    return next(usual, names[0])


def _holds_images(kind: Any, types: Any) -> bool:
    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    if types.is_dictionary(kind):
        return _holds_images(kind.value_type, types)
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )


def spare_detail(image: Image.Image, resolution: int) -> None:
    """Let JPEG leave out detail that resizing would throw away; it keeps twice the size for quality."""
    width, height = image.size
    # libjpeg can decode at 1/2, 1/4 or 1/8 for a fraction of the time
    if (side := min(width, height)) > 2 * resolution:
        image.draft(
            None, (2 * resolution * width // side, 2 * resolution * height // side)
        )


def pixels(stored: Stored, resolution: int, channels: int) -> NDArray[np.uint8]:
    """(resolution, resolution, channels) of one image."""
    if isinstance(stored, np.ndarray) and stored.shape == (
        resolution,
        resolution,
        channels,
    ):
        return stored
    image = opened(stored)
    spare_detail(image, resolution)
    image = eight_bits(upright(image), channels)
    if image.size != (resolution, resolution):
        side = min(image.size)
        left = (image.width - side) / 2
        top = (image.height - side) / 2
        # cropping and resizing in one step, so the border is not interpolated twice
        box = (left, top, left + side, top + side)
        image = image.resize((resolution, resolution), Image.Resampling.BILINEAR, box)
    return np.asarray(image).reshape(resolution, resolution, channels)


def opened(stored: Stored) -> Image.Image:
    """The image, its header read."""
    if isinstance(stored, str):
        raise ValueError(stored)
    if isinstance(stored, np.ndarray):
        return Image.fromarray(stored)
    return Image.open(
        io.BytesIO(stored.read_bytes() if isinstance(stored, Path) else stored)
    )


def upright(image: Image.Image) -> Image.Image:
    """The image as its camera was held, whatever the way it was stored (EXIF orientation)."""
    return ImageOps.exif_transpose(image)


def is_grey(image: Image.Image) -> bool:
    if image.mode.startswith("I;16"):
        return True
    return image.mode in ("1", "L", "LA", "La", "I")


def eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """The image as ``L`` or ``RGB``, on white where it is transparent; 16 bits lose their lower eight."""
    if channels == 1 and not is_grey(image):
        raise ColourError(
            f"has colour (mode {image.mode}), where the images looked at first had none"
        )
    # 16 bits, which Pillow would clip instead of scaling
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.max() > 65535 or values.min() < 0:
            raise ValueError("pixels of more than 16 bits")
        image = Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("pixels of floating point")
    if image.has_transparency_data:
        image = _on_white(image)
    return image.convert("L" if channels == 1 else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    transparent = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, transparent)


class _ArraysOnly(pickle.Unpickler):
    """Admits what CIFAR's files are made of, which can run no code."""

    _ADMITTED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which CIFAR's files do not"
            )
        # numpy 2 has moved it; CIFAR's files are older
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def unpickled(path: str) -> dict[str, Any]:
    """Content of one of CIFAR's Python files; ``ValueError`` naming it, if it is damaged or anything else."""
    try:
        with Path(path).open("rb") as file:
            return dict(_ArraysOnly(file, encoding="latin1").load())
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(
            f"{path}: not one of CIFAR's Python files, or damaged ({error})"
        ) from error


def read_cifar(path: str) -> dict[str, Any]:
    """One of CIFAR's official batches: ``data`` (N, 3072) uint8 and lists of labels; raises as ``unpickled``."""
    content = unpickled(path)
    data = content.get("data")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != 3072
    ):
        raise ValueError(
            f"{path}: not one of CIFAR's Python files, its data are not rows of 3072 bytes"
        )
    return content


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Answer each line of JSON, ``[entries, output]``, by one: what ``decode`` returned or raised."""
    for line in requests:
        entries, output = json.loads(line)
        try:
            reply: dict[str, Any] = {
                "failures": decode([Entry(*entry) for entry in entries], output)
            }
        except ColourError as error:
            reply = {"colour": str(error)}
        except (OSError, ValueError, MemoryError) as error:
            reply = {"error": f"{entries[0][1]}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    # Ctrl-C is the parent's; it closes our input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the parent is gone
        serve(sys.stdin, sys.stdout)
