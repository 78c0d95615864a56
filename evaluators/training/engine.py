"""The training of a network, an epoch at a time: the same engine for proxy training and for retraining.

An epoch is: draw the order of the images, take a step per batch, measure the norms' statistics anew with the
weights as they are, validate. Between two batches the device may be lent to a latency measurement.

All chance of an epoch comes from the seed and the epoch's number, so weights, optimiser state and past
metrics are all that it takes to go on after an interruption.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from statistics import fmean
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.data.dataset import Dataset
from evaluators.data.split import Split, batches
from evaluators.devices.compiled import compile_blocks
from evaluators.devices.lock import Shared
from evaluators.devices.seeding import derive, seeded
from evaluators.evaluator import Metrics
from evaluators.training.batch_order import BatchOrder
from evaluators.training.cuda_graph import Replayed, why_eager
from evaluators.training.ema import Ema
from evaluators.training.evaluation import (
    NO_LABEL,
    SUMS,
    Evaluation,
    EvaluationStep,
    equal_parts,
    filled_up,
)
from evaluators.training.fidelity import Fidelity
from evaluators.training.layers.batch_norm import recalibrate
from evaluators.training.layers.stochastic_depth import Drops
from evaluators.training.layers.sync_norm import synchronise
from evaluators.training.memory import (
    free_memory,
    is_out_of_memory,
    limit_memory,
    peak_memory,
    reset_peak,
)
from evaluators.training.recipe import SMALLEST_PART, Recipe
from evaluators.training.shard import ALONE, Shard, check_sizes
from evaluators.training.train_step import TrainStep, autocast

CALIBRATION_IMAGES = 512


class Training:
    """Trains ``model`` on ``dataset`` by ``recipe``; call ``next_epoch`` until it has had ``recipe.epochs``.

    ``seed`` decides the order of the images, augmentation and what is random in the model; on the CPU, the
    same seed and number of threads give the same numbers. ``memory_fraction`` is the most of a GPU's memory
    that the process may take. ``shard`` spreads every batch over several processes.

    Attributes:
        fidelity: what the training costs and sees.
        history: the metrics of every epoch so far.
        splits: how many parts a batch is trained in, one after the other.

    Raises:
        ValueError: for a precision the device has not, a memory fraction that is none, images or batches too few
            for so many processes, or a network without the blocks that the recipe wants to drop.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        recipe: Recipe,
        device: torch.device,
        seed: int = 0,
        *,
        shard: Shard = ALONE,
        memory_fraction: float | None = None,
    ) -> None:
        limit_memory(device, memory_fraction)
        check_sizes(len(dataset.train.labels), recipe.batch_size, shard.world_size)
        self.dataset, self.recipe, self.device = dataset, recipe, device
        self.seed, self.shard = seed, shard
        self.fidelity = Fidelity.of(dataset, recipe)
        self._order = BatchOrder(self.fidelity, recipe.batch_size, seed, shard)
        # a third less time on the CPU (benchmarks/training.py); torch's overloads lack the format alone
        self.model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.history: list[Metrics] = []
        # grows when memory runs out
        self.splits = recipe.accumulate
        # this order: converted norms would lose their hooks, and what is compiled must have them already
        if recipe.sync_norm and shard.world_size > 1:
            self.model = synchronise(self.model, device)
        self._drops = Drops(self.model, recipe, device)
        if recipe.compile:
            compile_blocks(self.model)
        self._trained = shard.wrap(self.model, device)
        self._lr = torch.zeros((), device=device)  # where a recorded step finds it
        self._optimizer = recipe.optimizer_of(self.model, self._lr)
        self._ema = Ema(self.model, recipe.ema) if recipe.ema else None
        self._evaluation_step = EvaluationStep(self.evaluated, recipe, device)
        self._replayed: Replayed | None = None
        self._replayed_evaluation: Replayed | None = None
        self._prepare_step()

    @property
    def evaluated(self) -> nn.Module:
        """The network whose accuracy is told: with the averaged weights, if the recipe has them averaged."""
        return self._ema.model if self._ema else self.model

    def state_dict(self) -> dict[str, Any]:
        """All it takes to go on after the last epoch; tensors are the living ones, not copies."""
        return {
            "model": self.model.state_dict(),
            "ema": self._ema.model.state_dict() if self._ema else {},
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._step.scaler.state_dict(),
            "splits": self.splits,
            "history": self.history,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a training of the same model, dataset, recipe and seed."""
        self.model.load_state_dict(state["model"])
        if self._ema:
            self._ema.model.load_state_dict(state["ema"])
        # a copy, because torch would go on with the very tensors
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
        self.splits, self.history = state["splits"], list(state["history"])
        self._prepare_step()
        self._step.scaler.load_state_dict(state["scaler"])

    def next_epoch(self) -> Metrics:
        """Train an epoch and evaluate; if memory runs out, once more from its start in parts half as large.

        Gives ``epoch``, ``accuracy`` and ``validation_loss`` (mean cross entropy) on validation images, their
        standard errors ``accuracy_se`` and ``validation_loss_se``, ``accuracy_mirrored`` if the recipe asks for
        it, ``train_loss`` (mean over the epoch, labels smoothed), ``learning_rate`` (of the last step),
        ``seconds`` and ``validation_seconds`` of them, after the last step (waiting for the device excluded),
        ``images_per_second`` (of training only), ``batch_splits`` and, in words, ``fidelity``; on a GPU also
        ``train_memory_mb`` (10^6 bytes), and in words ``precision`` and ``cuda_graph``.

        Raises:
            FloatingPointError: when the loss is infinite or NaN, saying in which epoch and step.
            RuntimeError: when memory runs out again, or on one of several processes.
        """
        # on the device: the epoch may have changed half of the weights when memory runs out
        before = deepcopy(self.state_dict()) if self._may_split() else None
        try:
            return self._epoch()
        except (RuntimeError, MemoryError) as error:
            if before is None or not is_out_of_memory(error):
                raise
        # recordings have memory of their own
        self._replayed = self._replayed_evaluation = None
        free_memory(self.device)
        self.load_state_dict(before | {"splits": 2 * self.splits})
        return self._epoch()

    def evaluate(self, split: Split) -> Evaluation:
        """Accuracy and loss of ``evaluated`` on images of the dataset's kind; every process takes a part."""
        with Shared(self.device) as turn:
            return self._evaluate(split, turn)

    def _prepare_step(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr  # loading has put a copy in its place
        self._step = TrainStep(
            self._trained, self._optimizer, self.recipe, self.device, self.splits
        )
        self._replayed = (
            Replayed(self._step, self.device) if self._graph_off() is None else None
        )
        on_gpu = self.device.type == "cuda"
        if on_gpu and self.recipe.cuda_graph and not self.recipe.compile:
            self._replayed_evaluation = Replayed(self._evaluation_step, self.device)

    def _graph_off(self) -> str | None:
        """Why steps are not recorded as a CUDA graph, if so."""
        scaled = self._step.scaler.is_enabled()
        return why_eager(self.recipe, self.device, scaled, self.shard.world_size)

    def _may_split(self) -> bool:
        # a process that trained its epoch anew alone would leave the others waiting for its gradients
        smallest = self.recipe.batch_size // (2 * self.splits)
        return (
            self.shard.world_size == 1
            and self.splits == self.recipe.accumulate
            and smallest >= SMALLEST_PART
        )

    def _epoch(self) -> Metrics:
        reset_peak(self.device)
        started = perf_counter()
        # 1 +: to numpy's SeedSequence (seed, epoch, 0) is (seed, epoch), which an order of images has
        chance = derive(self.seed, len(self.history), 1 + self.shard.rank)
        with seeded(chance, self.device), Shared(self.device) as turn:
            train_loss, images, rate = self._train(turn)
            # waiting for a latency measurement is not training
            trained = perf_counter() - started - turn.waited
            # in the precision in which the network is evaluated, or its norms would not fit
            with autocast(self.recipe, self.device):
                recalibrate(self.evaluated, self._calibration_batches(turn))
            evaluation = self._evaluate(self._validation(), turn)
        number = len(self.history) + 1
        if not math.isfinite(evaluation.loss):
            what = f"validation loss {evaluation.loss} after epoch {number}"
            raise FloatingPointError(f"{what}; try a lower lr")
        seconds = perf_counter() - started - turn.waited
        metrics: Metrics = {
            "epoch": number,
            **evaluation.metrics(),
            "train_loss": train_loss,
            "learning_rate": rate,
            "seconds": seconds,
            "validation_seconds": seconds - trained,
            "images_per_second": images / trained,
            "batch_splits": self.splits,
            "fidelity": str(self.fidelity),
            **self._device_facts(),
        }
        self.history.append(metrics)
        return metrics

    def _validation(self) -> Split:
        """The images to validate on: all after the last epoch, as many as the recipe says before."""
        last = len(self.history) + 1 >= self.recipe.epochs
        count = self.fidelity.validated if last else self.fidelity.at_rungs
        images, labels = self.dataset.validation
        return Split(images[:count], labels[:count])

    def _device_facts(self) -> Metrics:
        if self.device.type != "cuda":
            return {}
        replayed = (
            self._replayed.state if self._replayed else f"off: {self._graph_off()}"
        )
        precision = str(self.recipe.dtype(self.device)).removeprefix("torch.")
        return peak_memory(self.device) | {
            "precision": precision,
            "cuda_graph": replayed,
        }

    def _train(self, turn: Shared) -> tuple[float, int, float]:
        """One pass over the training images: mean loss, images that all processes saw, last learning rate."""
        epoch = len(self.history)
        parts = self._order.batches(epoch)
        # each step's rate is that of its middle
        rates = [
            self._order.filled * self.recipe.lr_at(epoch + (step + 0.5) / len(parts))
            for step in range(len(parts))
        ]
        # stays on the device: reading a loss each step would stall a GPU
        losses = torch.zeros(len(parts), device=self.device)
        step = self._replayed or self._step
        self._trained.train()
        for number, batch in enumerate(batches(self.dataset.train, parts, self.device)):
            self._lr.fill_(rates[number])
            # share of the whole training that has passed
            self._drops.advance((epoch + number / len(parts)) / self.recipe.epochs)
            losses[number] = step(*self._augmented(batch))
            if self._ema:
                self._ema.update(self.model, epoch * len(parts) + number)
            turn.give_way()
        # here, and at the end of the evaluation, the epoch waits for the device; nowhere else
        told = (self.shard.sum(losses) / self.shard.world_size).tolist()
        _check_finite(told, epoch + 1)
        return fmean(told), sum(map(len, parts)) * self.shard.world_size, rates[-1]

    def _augmented(self, batch: Split) -> tuple[Tensor, Tensor]:
        augment, chance = self.recipe.augment, torch.default_generator
        images = self.dataset.normalise(augment.apply(batch.images, chance))
        images = augment.erase(images, chance)
        return augment.mix(images, batch.labels, self.dataset.task.num_classes, chance)

    def _images(
        self, split: Split, parts: Iterable[Tensor], turn: Shared
    ) -> Iterator[Split]:
        """Normalised batches; the device may be asked for between them."""
        for images, labels in batches(split, parts, self.device):
            yield Split(self.dataset.normalise(images), labels)
            turn.give_way()

    def _calibration_batches(self, turn: Shared) -> Iterator[Tensor]:
        # always the first: which images are drawn must not move the score
        indices = torch.arange(min(CALIBRATION_IMAGES, len(self.dataset.train.labels)))
        parts = equal_parts(indices)
        return (batch.images for batch in self._images(self.dataset.train, parts, turn))

    @torch.inference_mode()
    def _evaluate(self, split: Split, turn: Shared) -> Evaluation:
        self.evaluated.eval()
        count, shard = len(split.labels), self.shard
        # every world_size-th image, so that each is seen by one process
        parts = equal_parts(torch.arange(shard.rank, count, shard.world_size))
        step = self._replayed_evaluation or self._evaluation_step
        sums = torch.zeros(SUMS, dtype=torch.float64, device=self.device)
        images_in_turn = self._images(split, filled_up(parts), turn)
        for part, (images, labels) in zip(parts, images_in_turn, strict=True):
            # the images that only fill the batch up count for nothing
            labels[len(part) :] = NO_LABEL
            sums += step(images, labels)
        return Evaluation.of(
            shard.sum(sums).tolist(), count, mirrored=self.recipe.mirrored
        )


def _check_finite(losses: Sequence[float], epoch: int) -> None:
    """After the epoch, not after each step: looking at a loss waits for the device."""
    for step, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            where = f"epoch {epoch}, step {step} of {len(losses)}"
            raise FloatingPointError(f"loss {loss} in {where}; try a lower lr")
