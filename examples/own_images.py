"""Your own images: one folder per class. This one paints striped squares, two classes that differ by direction."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nas import load_config, search


def paint(folder: Path, across: bool, count: int = 60, side: int = 32) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(int(across))
    for number in range(count):
        wave = np.sin(np.arange(side) * rng.uniform(0.5, 1.5))
        stripes = np.tile(wave, (side, 1)) + rng.normal(0, 0.5, (side, side))
        picture = stripes.T if across else stripes
        grey = Image.fromarray(np.uint8(127 + 40 * picture.clip(-3, 3)))
        grey.save(folder / f"{number:03}.png")


if __name__ == "__main__":
    # photos/train/CLASS/*.png; a folder photos/test is never shown to a search
    photos = Path("photos")
    if not photos.exists():
        paint(photos / "train" / "upright", across=False)
        paint(photos / "train" / "flat", across=True)

    images = "data={name: imagefolder, root: photos, resolution: 32}"
    settings = [images, "trials=6", "training.epochs=3", "limits={macs: 20e+6}"]
    config = load_config("quick", [*settings, *sys.argv[1:]])
    run = search(config, "runs/own-images", serial=True)
    print(run.front()[["accuracy", "latency_ms", "macs"]].to_string(index=False))
