"""What must hold of training on a GPU; it runs on the CPU too, by the same code, so that it is tried without one.

A check takes a ``Setting`` and raises ``AssertionError`` if it does not hold; it may give figures.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.host_reads import HostReads
from benchmarks.gpu.setting import Figures, MissingError, Setting, exact
from evaluators import (
    Augmentation,
    Dataset,
    Metrics,
    Recipe,
    Split,
)
from evaluators.devices.seeding import build_seeded
from evaluators.training.checkpoint import load_checkpoint, save_checkpoint
from evaluators.training.engine import Training
from search_spaces import Arch, RegNetY, ResNeSt, Task, reference

CPU = torch.device("cpu")
TASK = Task(num_classes=2, resolution=16, channels=3, small_images=True)
ARCH = ResNeSt((1, 1, 1, 1), (8, 8, 16, 16), stem_width=8)
RECIPE = Recipe(epochs=2, batch_size=32, warmup_epochs=0, lr=0.1, precision="float32")
FAMILIES = {
    "resnest": ARCH,
    "regnety": RegNetY(depth=4, w0=8, group_width=8, stem_width=8),
    "fbnetv2": replace(reference("fbnetv2_f4"), resolution=32),
}
TIMED = {
    "seconds",
    "validation_seconds",
    "images_per_second",
    "train_memory_mb",
    "cuda_graph",
    "precision",
}


def grey(device: torch.device, count: int = 200) -> Dataset:
    """Noise around a dark and a light grey."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        labels = torch.randint(2, (count,), generator=generator)
        noise = torch.randint(80, (count, 16, 16, 3), generator=generator)
        images = noise + 90 * labels[:, None, None, None]
        return Split(images.to(torch.uint8).permute(0, 3, 1, 2), labels).to(device)

    mean, deviation = (torch.full((3,), value, device=device) for value in (80.0, 50.0))
    return Dataset(split(count), split(60), TASK, mean, deviation)


def trained(
    device: torch.device,
    recipe: Recipe = RECIPE,
    *,
    arch: Arch = ARCH,
    dataset: Dataset | None = None,
    **more: Any,
) -> Training:
    dataset = dataset or grey(device)
    model = build_seeded(arch, dataset.task, 0)
    training = Training(model, dataset, recipe, device, **more)
    while len(training.history) < recipe.epochs:
        training.next_epoch()
    return training


def learnt(training: Training) -> list[Metrics]:
    return [
        {name: value for name, value in row.items() if name not in TIMED}
        for row in training.history
    ]


def same_weights(ours: Training, theirs: Training) -> None:
    pairs = zip(
        ours.evaluated.state_dict().items(),
        theirs.evaluated.state_dict().values(),
        strict=True,
    )
    different = [name for (name, a), b in pairs if not torch.equal(a, b)]
    assert not different, f"{different[0]} and {len(different) - 1} more differ"


def equals_cpu(arch: Arch) -> Callable[[Setting], Figures]:
    """An epoch of a family's network on the device and on the CPU: losses within 1 %."""

    def check(setting: Setting) -> Figures:
        recipe = replace(RECIPE, epochs=1, batch_size=64)
        with exact():
            here, there = (
                trained(device, recipe, arch=arch).history[0]["train_loss"]
                for device in (setting.device, CPU)
            )
        apart = abs(float(here) / float(there) - 1)
        assert apart < 0.01, f"loss {here} on {setting.device}, {there} on the CPU"
        return {"apart": apart}

    return check


def precision(name: Any) -> Callable[[Setting], Figures]:
    """Training in few bits learns what can be learnt; ``auto`` takes bfloat16 or float16 on a GPU."""

    def check(setting: Setting) -> Figures:
        if name == "float16" and not setting.cuda:
            raise MissingError("needs a GPU: float16 is not trained in on a CPU")
        recipe = replace(RECIPE, epochs=4, precision=name)
        row = trained(setting.device, recipe).history[-1]
        assert float(row["accuracy"]) > 0.95, f"accuracy {row['accuracy']}"
        if setting.cuda and name != "float16":
            assert row["cuda_graph"] == "on", row["cuda_graph"]
        return {"accuracy": row["accuracy"], "dtype": str(recipe.dtype(setting.device))}

    return check


def graph(**options: Any) -> Callable[[Setting], Figures]:
    """Replayed steps and evaluations equal eager ones, bit for bit."""

    def check(setting: Setting) -> Figures:
        recipe = replace(RECIPE, **options)
        with exact():
            replayed = trained(setting.device, recipe)
            eager = trained(setting.device, replace(recipe, cuda_graph=False))
        if setting.cuda:
            state = replayed.history[-1]["cuda_graph"]
            assert state == "on", f"not recorded: {state}"
        assert learnt(replayed) == learnt(eager), "the numbers differ"
        same_weights(replayed, eager)
        return {}

    return check


def dropping(setting: Setting) -> Figures:
    """What is drawn on the device is drawn anew in every replay: the network still learns."""
    recipe = replace(RECIPE, epochs=4, stochastic_depth=0.3, drop_block=0.1)
    row = trained(setting.device, recipe).history[-1]
    assert float(row["accuracy"]) > 0.9, f"accuracy {row['accuracy']}"
    return {}


def resumes(setting: Setting) -> Figures:
    """Two epochs in one go, and with a checkpoint file and a new process's objects between them: equal bits."""
    recipe = replace(RECIPE, ema=0.8, epochs=3)
    with exact(), tempfile.TemporaryDirectory() as folder:
        whole = trained(setting.device, recipe)
        first = Training(
            build_seeded(ARCH, TASK, 0), grey(setting.device), recipe, setting.device
        )
        first.next_epoch()
        path = Path(folder) / "state.pt"
        save_checkpoint(path, {}, first.state_dict())
        second = Training(
            build_seeded(ARCH, TASK, 1), grey(setting.device), recipe, setting.device
        )
        second.load_state_dict(load_checkpoint(path, {}, setting.device))
        while len(second.history) < recipe.epochs:
            second.next_epoch()
    assert learnt(second) == learnt(whole), "the numbers differ"
    same_weights(second, whole)
    return {}


def accumulation(setting: Setting) -> Figures:
    """A batch in parts, without norms and in float32, trains as the whole does."""
    losses = []
    for parts in (1, 2):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 2)
        )
        with exact():
            training = Training(
                model,
                grey(setting.device),
                replace(RECIPE, accumulate=parts),
                setting.device,
            )
            training.next_epoch()
        losses.append(float(training.next_epoch()["train_loss"]))
    assert abs(losses[1] / losses[0] - 1) < 1e-3, f"losses {losses}"
    return {}


def streaming(setting: Setting) -> Figures:
    """Images that stay in the host's memory train the network to the same bits."""
    recipe = replace(RECIPE, augment=Augmentation(shift=2, flip=True))
    resident = grey(setting.device)
    host = replace(resident, train=resident.train.to(CPU))
    host = replace(host, validation=resident.validation.to(CPU))
    with exact():
        ours = trained(setting.device, recipe, dataset=host)
        theirs = trained(setting.device, recipe, dataset=resident)
    assert learnt(ours) == learnt(theirs), "the numbers differ"
    same_weights(ours, theirs)
    return {}


def waits(setting: Setting) -> Figures:
    """The host reads two results an epoch, and waits for nothing else."""
    recipe = replace(
        RECIPE, augment=Augmentation(shift=1, flip=True, mixup=0.2), ema=0.9
    )
    training = trained(setting.device, recipe)
    training.recipe = replace(recipe, epochs=3)
    if setting.cuda:
        count = _waits_of_torch(training.next_epoch)
    else:
        with HostReads() as reads:
            training.next_epoch()
        count = len(reads.names)
    assert count <= 2, f"{count} times"
    return {"waits": count}


def _waits_of_torch(run: Callable[[], object]) -> int:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            # itself warns that it is a prototype
            torch.cuda.set_sync_debug_mode("warn")
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(w.message) for w in warned)


def compiled_blocks(setting: Setting) -> Figures:
    """A network whose blocks are compiled trains as it does without, within 2 %."""
    if not setting.cuda:
        raise MissingError("needs a GPU: takes minutes on the CPU")
    plain, compiled = (
        trained(setting.device, replace(RECIPE, compile=on)).history[0]["train_loss"]
        for on in (False, True)
    )
    assert abs(float(compiled) / float(plain) - 1) < 0.02, f"{compiled}, {plain}"
    return {}


def evaluation(setting: Setting) -> Figures:
    """Accuracy and loss of a recorded evaluation are those of the network called by hand."""
    training = trained(setting.device, dataset=grey(setting.device))
    split = training.dataset.validation
    for _ in range(6):  # the first few are eager
        told = training.evaluate(split)
    with torch.inference_mode():
        logits = training.evaluated.eval()(training.dataset.normalise(split.images))
    loss = nn.functional.cross_entropy(logits, split.labels).item()
    right = (logits.argmax(1) == split.labels).double().mean().item()
    assert abs(told.loss - loss) < 1e-3 * max(1, loss), (told, right, loss)
    assert told.accuracy == right, (told, right, loss)
    return {}
