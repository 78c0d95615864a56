"""Which images, as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from evaluators.data.cache import cache_folder


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are cut up; plain values, so that it can be sent and compared.

    Attributes:
        name: a built-in source, or ``module:function`` that returns a ``Source``.
        root: folder or file that holds the images.
        validation: share of the images that is held out of train, the test images not counted.
        split_seed: decides which.
        subset: use so many images, train and validation together, every class in proportion; None: all.
        resolution: side in pixels that images are decoded at; None: their own.
        download: fetch what is missing, where the source knows an address.
        max_corrupt: share of images that may be unreadable and are left out.
        cache: folder for decoded images; None: ``$SPLITSEARCH_CACHE``, or ``splitsearch`` in the user's cache.

    Raises:
        ValueError: naming the field that is wrong.
    """

    name: str = "digits"
    root: str | None = None
    validation: float = 0.25
    split_seed: int = 0
    subset: int | None = None
    resolution: int | None = None
    download: bool = False
    max_corrupt: float = 0.01
    cache: str | None = None

    def __post_init__(self) -> None:
        wrong = {
            "root must name a folder or a file": self.root == "",
            "cache must name a folder": self.cache == "",
            "validation must lie between 0 and 1, both excluded": not 0 < self.validation < 1,
            "split_seed must not be negative": self.split_seed < 0,
            "subset must be at least 1": self.subset is not None and self.subset < 1,
            "resolution must be at least 1": self.resolution is not None and self.resolution < 1,
            "max_corrupt must be at least 0 and below 1": not 0 <= self.max_corrupt < 1,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.partition(" ")[0]
                raise ValueError(f"DataSettings: {rule}; got {getattr(self, name)!r}")

    def absolute(self) -> DataSettings:
        """The same for a process that works in another folder or with other variables of the environment."""
        root = self.root and str(Path(self.root).expanduser().absolute())
        return replace(self, root=root, cache=str(cache_folder(self.cache)))
