"""How to train: a value that yields the optimiser, the learning rate and the precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from evaluators.training.augment import Augmentation

Schedule = Literal["cosine", "one_cycle"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

PLAIN = Augmentation()
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 10_000


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum, a schedule, label smoothing, and what else decides a training.

    Attributes:
        batch_size: images a step, those of all processes together.
        lr: the peak for batches of 256 images; it scales with the batch size (Goyal et al. 2017, "Accurate,
            Large Minibatch SGD").
        weight_decay: of the weights of convolutions and linear layers alone.
        schedule: ``cosine`` to zero after a linear warm-up of ``warmup_epochs``; or ``one_cycle``, which rises
            for 30 % of the training and then falls, both along a cosine, momentum staying as it is (Smith and
            Topin 2017, "Super-Convergence").
        augment: what is done to the images; leave digits and letters unmirrored.
        clip_norm: the most that the norm of all gradients may be; None for no limit.
        ema: decay per step of the moving average of the weights that is evaluated instead of them; 0 for none.
        accumulate: how many parts a batch is trained in, one after the other, to need less memory.
        precision: of convolutions and products. ``auto`` is float32 on the CPU and on a GPU bfloat16, or
            float16 where the GPU cannot do that.
        cuda_graph: record the step once and replay it, on a GPU.
        compile: have ``torch.compile`` make the network's kernels; pays for long trainings.
        zero_gamma: residual branches start at zero (Goyal et al. 2017, section 5.1).
        stochastic_depth: probability that an image skips the branch of the last residual block, falling linearly
            to 0 before the first (Huang et al. 2016, "Deep Networks with Stochastic Depth").
        drop_block: share of the maps that is blanked in squares in the last two stages, rising linearly from 0
            over the training (Ghiasi et al. 2018, "DropBlock").
        drop_block_size: side of such a square, in pixels of the maps; as large as them at most.
        sync_norm: norms see the whole batch, not their process's part of it.

    The defaults suit a thousand small images.

    Raises:
        ValueError: naming the field that is wrong.
    """

    epochs: int = 9
    batch_size: int = 64
    lr: float = 0.4
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    schedule: Schedule = "cosine"
    warmup_epochs: float = 1.0
    augment: Augmentation = PLAIN
    clip_norm: float | None = None
    ema: float = 0.0
    accumulate: int = 1
    precision: Precision = "auto"
    cuda_graph: bool = True
    compile: bool = False
    zero_gamma: bool = True
    stochastic_depth: float = 0.0
    drop_block: float = 0.0
    drop_block_size: int = 7
    sync_norm: bool = False

    def __post_init__(self) -> None:
        schedules, precisions = get_args(Schedule), get_args(Precision)
        wrong = {
            "epochs must be at least 1": self.epochs < 1,
            "batch_size must be at least 2, for batch norm": self.batch_size < 2,
            "lr must be positive and finite": not 0 < self.lr < math.inf,
            "momentum must lie between 0 and 1, both excluded": not 0 < self.momentum < 1,
            "weight_decay must be at least 0 and finite": not 0 <= self.weight_decay < math.inf,
            "label_smoothing must be at least 0 and below 1": not 0 <= self.label_smoothing < 1,
            f"schedule must be {' or '.join(schedules)}": self.schedule not in schedules,
            "warmup_epochs must be at least 0 and at most epochs": not 0 <= self.warmup_epochs <= self.epochs,
            "clip_norm must be positive and finite, or null for no limit": self.clip_norm is not None
            and not 0 < self.clip_norm < math.inf,
            "ema must be at least 0 and below 1": not 0 <= self.ema < 1,
            "accumulate must be at least 1 and leave 2 images to a part": not 1
            <= self.accumulate
            <= self.batch_size // 2,
            "stochastic_depth must be at least 0 and below 1": not 0 <= self.stochastic_depth < 1,
            "drop_block must be at least 0 and below 1": not 0 <= self.drop_block < 1,
            "drop_block_size must be at least 1": self.drop_block_size < 1,
            f"precision must be {' or '.join(precisions)}": self.precision not in precisions,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.partition(" ")[0]
                raise ValueError(f"Recipe: {rule}; got {getattr(self, name)}")

    def lr_at(self, epoch: float) -> float:
        """The learning rate after so many epochs, which need not be whole."""
        peak = self.lr * self.batch_size / 256
        if self.schedule == "one_cycle":
            top = ONE_CYCLE_RISE * self.epochs
            if epoch < top:
                return peak * _half_cosine(ONE_CYCLE_START, 1, epoch / top)
            return peak * _half_cosine(1, ONE_CYCLE_END, (epoch - top) / (self.epochs - top))
        if epoch < self.warmup_epochs:
            return peak * epoch / self.warmup_epochs
        if epoch >= self.epochs:
            return 0.0
        return peak * _half_cosine(1, 0, (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs))

    def optimizer(self, model: nn.Module, lr: float | Tensor = 0.0) -> torch.optim.SGD:
        """SGD on parameters with and without weight decay; its learning rate is to be set every step.

        A replayed CUDA graph reads it from the tensor ``lr``. Momentum starts as zeros: the fused step that a
        float16 overflow skips would leave it uninitialised.
        """
        decayed, rest = split_parameters(model)
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=self.momentum, nesterov=True, fused=True)
        for parameter in model.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer

    def dtype(self, device: torch.device) -> torch.dtype:
        """What ``precision`` means on this device; ``ValueError`` if the device cannot train in it."""
        if self.precision == "float16" and device.type != "cuda":
            raise ValueError("Recipe: precision float16 needs a GPU; use auto, float32 or bfloat16")
        if self.precision != "auto":
            dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
            return dtypes[self.precision]
        if device.type != "cuda":
            return torch.float32
        # bfloat16 came with compute capability 8; before that it is emulated, slowly
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float16


DEFAULT_RECIPE = Recipe()


def _half_cosine(start: float, end: float, progress: float) -> float:
    """From ``start`` to ``end`` along half a period, for ``progress`` from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1))) / 2


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights of convolutions and linear layers, and the rest: every norm parameter and every bias."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    decayed = {id(module.weight) for module in model.modules() if isinstance(module, kinds)}
    parameters = list(model.parameters())
    return [p for p in parameters if id(p) in decayed], [p for p in parameters if id(p) not in decayed]
