"""A trained network as a folder that others can use."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from evaluators import (
    LatencyResult,
    UnstableLatencyError,
    load_model,
    measure_latency,
    read_model_folder,
)
from evaluators.data.progress import Progress
from evaluators.devices.device import resolve_device
from evaluators.devices.lock import exclusive
from evaluators.models.folder import TrainedModel, write_model_folder
from nas.exporting.model_card import model_card, portable
from nas.exporting.programs import (
    Check,
    onnx_runtime,
    save_onnx,
    save_program,
    to_program,
)
from nas.retraining.weights import official_model
from search_spaces import Network, complexity, fold


def export(
    source: str | Path,
    out: str | Path,
    *,
    init: str | None = None,
    folded: bool = True,
    onnx: bool = True,
    program: bool = True,
    labels: Sequence[str] | None = None,
    device: str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Check]:
    """Write a model folder with a model card, ``model.onnx`` and ``model.pt2``; it appears whole or not at all.

    ``source`` is a model folder, such as retraining leaves, or a published network whose weights ``init``
    names (``official``). The programs have their batch norms folded unless ``folded`` is off; the weights in
    ``model.safetensors`` stay as trained. The latency in the card is measured here, on ``device``;
    on a busy machine the card says why there is none.

    Returns:
        The check of every program, by file name.

    Raises:
        ValueError: for a source without weights, labels that do not fit, or an ``out`` that exists.
        ImportError: if ONNX is wanted and its libraries are not installed.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise ValueError(f"{out} exists already; name a new folder")
    # before anything is written: a device that is not there should cost no minutes
    resolve_device(device)
    if onnx:
        onnx_runtime()
    model, network = _source(source, init, progress)
    model = replace(model, found_by=portable(model.found_by))
    if labels is not None:
        model = replace(model, labels=tuple(labels))
    out.parent.mkdir(parents=True, exist_ok=True)
    # beside the target: a rename must not cross file systems
    unfinished = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        checks = _write(
            unfinished, model, network, folded, onnx, program, device, progress
        )
        unfinished.chmod(0o755)
        unfinished.rename(out)
    except BaseException:  # Ctrl-C too must leave nothing behind
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return checks


def _source(
    source: str | Path, init: str | None, progress: Progress
) -> tuple[TrainedModel, Network]:
    if Path(source).is_dir():
        if init is not None:
            raise ValueError(
                f"{source} has weights of its own; leave out --init {init}"
            )
        return read_model_folder(source), load_model(source)
    return official_model(str(source), init, progress)


def _write(
    folder: Path,
    model: TrainedModel,
    network: Network,
    folded: bool,
    onnx: bool,
    program: bool,
    device: str,
    progress: Progress,
) -> dict[str, Check]:
    write_model_folder(folder, model, network.state_dict())
    deployed = fold(network) if folded else network
    wanted = {"model.onnx": save_onnx} if onnx else {}
    wanted |= {"model.pt2": save_program} if program else {}
    progress("measuring latency", 0, len(wanted) + 1)
    latency = _latency(deployed, device)
    checks = {}
    if wanted:
        exported = to_program(deployed)
        for done, (name, save) in enumerate(wanted.items(), start=1):
            progress(f"writing {name}", done, len(wanted) + 1)
            # against the network as trained: folding must not move its logits either
            checks[name] = save(exported, folder / name, network)
    card = model_card(
        model, complexity(model.arch, model.task), latency, checks, folded
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    return checks


def _latency(network: Network, device: str) -> LatencyResult | str:
    """Measured, or in words why it could not be."""
    try:
        with exclusive(resolve_device(device)):
            return measure_latency(network, network.task, device, threads=1)
    except UnstableLatencyError as error:
        return str(error)
