"""Proxy training: a few epochs on the task at hand, one at a time, resumable to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluators.data.dataset import load
from evaluators.data.settings import DataSettings
from evaluators.devices.device import resolve_device
from evaluators.devices.seeding import build_seeded
from evaluators.evaluator import Metrics
from evaluators.training.checkpoint import load_checkpoint, save_checkpoint
from evaluators.training.engine import Training
from evaluators.training.recipe import DEFAULT_RECIPE, Recipe, recipe_for
from search_spaces import Arch


@dataclass(frozen=True)
class ProxyTraining:
    """Validation accuracy after each epoch of a short training. The fields are ``proxy_train``'s.

    What was chosen for the training of a network (``search_spaces.joint``) goes before ``recipe``.
    """

    data: DataSettings | str = "digits"
    recipe: Recipe = DEFAULT_RECIPE
    device: str = "cpu"
    memory_fraction: float | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        mirrored = ["accuracy_mirrored"] if self.recipe.mirrored else []
        memory = ["train_memory_mb"] if self.device.startswith("cuda") else []
        return (
            "accuracy",
            "accuracy_se",
            "train_loss",
            "validation_loss",
            "validation_loss_se",
            *mirrored,
            "learning_rate",
            "seconds",
            "validation_seconds",
            "images_per_second",
            "batch_splits",
            *memory,
        )

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        return proxy_train(
            arch,
            self.data,
            recipe_for(arch, self.recipe),
            self.device,
            seed,
            checkpoint,
            memory_fraction=self.memory_fraction,
        )


def proxy_train(
    arch: Arch,
    data: DataSettings | str = "digits",
    recipe: Recipe = DEFAULT_RECIPE,
    device: str = "cpu",
    seed: int = 0,
    checkpoint: Path | None = None,
    *,
    memory_fraction: float | None = None,
) -> Iterator[Metrics]:
    """Train on ``data`` for ``recipe.epochs``, yielding after every epoch what ``Training.next_epoch`` gives.

    ``seed`` decides initial weights, order and augmentation; on the CPU, the same seed and number of threads
    give the same numbers. ``checkpoint`` keeps the state after each epoch: if the file is there, its epochs
    are yielded again without training and the rest follows as if there had been no interruption.
    ``memory_fraction`` is the most of a GPU's memory that the process may take.

    Raises:
        ValueError: at once, for unknown data, a device that is not there, or a checkpoint that is damaged or
            of another arch, recipe, data or seed.
        FloatingPointError: when the loss is infinite or NaN, saying in which epoch and step.
        RuntimeError: when memory runs out, even after another try with batches in two parts.
    """
    where = resolve_device(device)
    settings = DataSettings(data) if isinstance(data, str) else data
    dataset = load(settings, where)
    model = build_seeded(arch, dataset.task, seed, zero_gamma=recipe.zero_gamma)
    training = Training(
        model, dataset, recipe, where, seed, memory_fraction=memory_fraction
    )
    owner = {
        "arch": arch.id,
        "recipe": asdict(recipe),
        "data": asdict(settings),
        "seed": seed,
    }
    # files may change behind an unchanged path
    owner["images"] = dataset.content["digest"]
    if checkpoint is not None and checkpoint.exists():
        training.load_state_dict(load_checkpoint(checkpoint, owner, where))
    return _epochs(training, checkpoint, owner)


def _epochs(
    training: Training, checkpoint: Path | None, owner: dict[str, object]
) -> Iterator[Metrics]:
    # what a checkpoint holds is told again: the reader may not have got it all
    yield from [dict(metrics) for metrics in training.history]
    while len(training.history) < training.recipe.epochs:
        metrics = training.next_epoch()
        if checkpoint is not None:
            # before the yield: whoever is told of an epoch can rely on it
            save_checkpoint(checkpoint, owner, training.state_dict())
        yield dict(metrics)
