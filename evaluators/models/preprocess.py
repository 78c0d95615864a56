"""From an image file to what a network was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from evaluators.data.dataset import Dataset
from evaluators.data.decode import eight_bits, is_grey, spare_detail, upright
from search_spaces.extension import nearest

RESAMPLING = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocess:
    """The central square of an image, resized and normalised.

    Attributes:
        resolution: side in pixels of what the network sees.
        mean, std: per channel, of values from 0 to 1; three channels are red, green, blue, one is grey.
        crop: side of the square as a share of the image's shorter side.
        interpolation: ``bilinear`` or ``bicubic``, with antialiasing.

    Raises:
        ValueError: naming the field that is wrong.
    """

    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        size = self.resolution
        numbers = (*self.mean, *self.std, self.crop)
        finite = all(map(_is_number, numbers))
        wrong = {
            "resolution must be a positive int": type(size) is not int or size < 1,
            "mean must have 1 or 3 entries": len(self.mean) not in (1, 3),
            "std must have as many entries as mean": len(self.std) != len(self.mean),
            "mean, std and crop must be finite numbers": not finite,
        }
        for rule, broken in wrong.items():
            if broken:
                raise ValueError(f"preprocess: {rule}, got {self}")
        if min(self.std) <= 0:
            raise ValueError(f"preprocess: std must be positive, got {self.std}")
        if not 0 < self.crop <= 1:
            raise ValueError(
                f"preprocess: crop must be above 0 and at most 1, got {self.crop}"
            )
        if self.interpolation not in RESAMPLING:
            raise ValueError(
                f"preprocess: unknown interpolation {self.interpolation!r}; use {RESAMPLING}"
            )

    @classmethod
    def of_values(
        cls, resolution: int, mean: Tensor, deviation: Tensor, white: float = 255.0
    ) -> Self:
        """With the (C,) mean and deviation that normalise values from 0 to ``white``; of bytes that is 255."""
        return cls(
            resolution,
            tuple((mean / white).tolist()),
            tuple((deviation / white).tolist()),
        )

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Self:
        """What the dataset's images went through; ``ValueError`` if picture files cannot be brought to that."""
        channels = dataset.task.channels
        if channels not in (1, 3):
            raise ValueError(
                f"the images have {channels} channels; a model folder is for pictures of 1 or 3, which files hold"
            )
        if dataset.white is None:
            raise ValueError(
                "the images are floats of unknown scale, so no picture file can be preprocessed for the network; "
                "say it: evaluators.Source(..., white=1.0) where 1.0 is white"
            )
        return cls.of_values(
            dataset.task.resolution, dataset.mean, dataset.deviation, dataset.white
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``; ``ValueError`` names what is missing, unknown or wrong."""
        if not isinstance(values, Mapping):
            raise ValueError(f"preprocess must be an object, got {values!r:.80}")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(map(str, values.keys() - set(known))):
            raise ValueError(
                f"preprocess has no field {unknown[0]!r}{nearest(unknown[0], known)}"
            )
        if missing := [name for name in known[:3] if name not in values]:
            raise ValueError(f"preprocess needs a field {missing[0]!r}")
        lists = {name: _entries(name, values[name]) for name in ("mean", "std")}
        return cls(**{**values, **lists})

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    def read(self, path: Path) -> Tensor:
        """The image in a file as a normalised (C, resolution, resolution) tensor, upright as its camera was.

        Raises:
            ValueError: naming the file, if it is missing or no image that Pillow can read.
        """
        try:
            with Image.open(path) as opened:
                # as the training images were decoded
                spare_detail(opened, self.resolution)
                pixels = self._square(upright(opened))
        # decoders raise anything, SyntaxError and struct.error included
        except Exception as error:
            said = getattr(error, "strerror", None) or str(error)
            reason = said or type(error).__name__
            raise ValueError(
                f"{path}: cannot be read as an image ({reason})"
            ) from error
        return self._normalised(pixels)

    def _normalised(self, image: Image.Image) -> Tensor:
        values = torch.from_numpy(np.asarray(image, np.float32) / 255)
        # a grey image has no axis of channels
        values = values.reshape(*image.size, -1)
        centred = values - torch.tensor(self.mean)
        values = centred / torch.tensor(self.std)
        return values.permute(2, 0, 1).contiguous()

    def _square(self, image: Image.Image) -> Image.Image:
        channels = len(self.mean)
        if channels == 1 and not is_grey(image):
            image = image.convert("L")
        image = eight_bits(image, channels)
        side = min(image.size) * self.crop
        left = (image.width - side) / 2
        top = (image.height - side) / 2
        box = (left, top, left + side, top + side)
        size = (self.resolution, self.resolution)
        if box == (0, 0, *size):
            return image
        return image.resize(
            size, Image.Resampling[self.interpolation.upper()], box, reducing_gap=3.0
        )


def _entries(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError(f"preprocess: {name} must be a list, got {value!r:.80}")
    return tuple(value)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
