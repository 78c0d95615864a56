"""What a training costs and sees: numbers of different fidelities do not compare."""

from __future__ import annotations

from dataclasses import dataclass

from evaluators.data.dataset import Dataset
from evaluators.training.recipe import Recipe


@dataclass(frozen=True)
class Fidelity:
    """How much a number is worth: counts of images, and the side of one in pixels.

    Attributes:
        epochs: reports that a whole training gives.
        visits: images that it trains on before each.
        images: different ones there are to train on.
        validated: images that its last accuracy is of; those before it are of ``at_rungs``.
    """

    epochs: int
    visits: int
    images: int
    resolution: int
    validated: int
    at_rungs: int

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe) -> Fidelity:
        """That of a training on ``dataset`` by ``recipe``.

        Raises:
            ValueError: if the recipe asks for more images than there are.
        """
        images = len(dataset.train.labels)
        validated = len(dataset.validation.labels)
        visits = _enough("images_per_epoch", recipe.images_per_epoch, images, "train")
        at_rungs = _enough("rung_images", recipe.rung_images, validated, "validate")
        return cls(
            recipe.epochs,
            visits,
            images,
            dataset.task.resolution,
            validated,
            at_rungs,
        )

    def __str__(self) -> str:
        rungs = f" ({self.at_rungs} at rungs)" if self.at_rungs < self.validated else ""
        return (
            f"{self.epochs} x {self.visits} visits of {self.images} images of {self.resolution} pixels, "
            f"validated on {self.validated}{rungs}"
        )


def _enough(name: str, asked: int | None, there: int, purpose: str) -> int:
    if asked is not None and asked > there:
        raise ValueError(
            f"training.{name}: must be at most {there}, the images there are to {purpose} with, got {asked}"
        )
    return asked or there
