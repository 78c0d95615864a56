"""One reader for training and prediction: Pillow's ``exif_transpose`` is the judge."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from evaluators import Preprocess, load, load_test
from tests.evaluators.data.image_files import settings

pytestmark = pytest.mark.usefixtures("cache")
ORIENTATION = 0x0112
SIDE = 32


def photo(path: Path, orientation: int) -> Path:
    """Smooth, so that compression takes nothing, and different at every corner."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    values = np.stack([4 * x + 60, 5 * y + 40, 2 * x + y + 20], axis=-1).astype(
        np.uint8
    )
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if path.suffix == ".webp" else {"quality": 100}
    Image.fromarray(values).save(
        path, exif=exif, **(options if path.suffix != ".png" else {})
    )
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_and_prediction_see_what_pillow_shows(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    for label in range(2):
        (tmp_path / f"class{label}").mkdir()
        for number in range(3):
            path = photo(tmp_path / f"class{label}" / f"{number}.{suffix}", orientation)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    expected = torch.from_numpy(np.array(upright)).permute(2, 0, 1).int()
    dataset, test = (
        load(settings("imagefolder", tmp_path)),
        load_test(settings("imagefolder", tmp_path)),
    )
    for split in (dataset.train, dataset.validation, test):
        assert (split.images.int() - expected).abs().max() <= 2
    read = Preprocess(SIDE, (0.0,) * 3, (1 / 255,) * 3).read(path)
    assert (read - expected).abs().max() <= 2
