"""The README of an exported network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import yaml

from evaluators import LatencyResult, TrainedModel
from nas.exporting.programs import Check
from results.wording import label, number
from search_spaces import Cost

EXACT = ("flops", "macs", "params")
"""Counted anew for the card, for the network as it is exported."""


def model_card(
    model: TrainedModel,
    cost: Cost,
    latency: LatencyResult | str,
    checks: Mapping[str, Check],
    folded: bool,
) -> str:
    """Markdown: what the network is, what was measured of it and how, how it was found, how to use it."""
    page = [
        *_title(model),
        *_measured(model, cost, latency, folded),
        *_found(model),
        *_files(model, checks, folded),
        *USE,
        "## Licence",
        "",
        f"The network's definition: Apache-2.0 (SplitSearch). The weights: {_plain(_licence(model))}.",
        "",
    ]
    return _front_matter(model) + "\n".join(page)


USE = (
    "## Use",
    "",
    "```python",
    "from evaluators import load_model",
    "",
    'model = load_model("path/to/this/folder")',
    "logits = model(images)  # normalised as preprocess.json says",
    "```",
    "",
    "From a hub: `splitsearch load OWNER/NAME --out path/to/this/folder`.",
    "`splitsearch predict path/to/this/folder image.jpg` does all of it.",
    "",
)


def _title(model: TrainedModel) -> list[str]:
    task = model.task
    grey = "grey" if task.channels == 1 else "colour"
    return [
        f"# {_plain(model.arch.space)} {model.arch.id}",
        "",
        f"Classifies {grey} images of {task.resolution}x{task.resolution} pixels into {task.num_classes} "
        "classes. Found and exported with SplitSearch.",
        "",
    ]


def _measured(
    model: TrainedModel, cost: Cost, latency: LatencyResult | str, folded: bool
) -> list[str]:
    # exact costs are counted here, for the network as it is exported
    measured = {k: v for k, v in model.metrics.items() if k not in EXACT}
    rows = [_row(label(name), _shown(name, value)) for name, value in measured.items()]
    return [
        "## Measured",
        "",
        "| | |",
        "|---|---|",
        *rows,
        _row("FLOPs (fvcore's total)", f"{cost.flops:,}"),
        _row("multiply-adds (convolution + linear)", f"{cost.macs:,}"),
        _row("parameters", f"{cost.params:,}"),
        *_latency_rows(latency, folded),
        "",
        *([] if model.metrics else ["No accuracy was measured on the way here.", ""]),
    ]


def _found(model: TrainedModel) -> list[str]:
    facts = [
        f"- {_plain(name)}: {_plain(value)}" for name, value in model.found_by.items()
    ]
    return ["## How it was found", "", *(facts or ["Not recorded."]), ""]


def _files(model: TrainedModel, checks: Mapping[str, Check], folded: bool) -> list[str]:
    preprocess = model.preprocess
    return [
        "## Files",
        "",
        "- `model.safetensors`: weights, batch norms as trained; `arch.json`: architecture and task",
        "- `preprocess.json`: the central square "
        f"({preprocess.crop:.3g} of the shorter side), resized ({preprocess.interpolation}) to "
        f"{preprocess.resolution} pixels, values 0 to 1, minus mean, divided by std",
        "- `labels.json`: class names in the order of the logits; `model.json`: the facts of this page",
        *(_program(name, check, folded) for name, check in checks.items()),
        "",
    ]


def _front_matter(model: TrainedModel) -> str:
    """What hubs of models read: the YAML of a card in Hugging Face's format."""
    licence = "apache-2.0" if _licence(model).startswith("Apache-2.0") else "other"
    tags = ["neural-architecture-search", "split-attention", model.arch.space]
    facts: dict[str, object] = {
        "library_name": "splitsearch",
        "pipeline_tag": "image-classification",
        "license": licence,
        "tags": tags,
    }
    if results := _results(model):
        # hubs list accuracies by this key
        facts["model-index"] = [{"name": model.arch.id, "results": results}]
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n\n"


def _results(model: TrainedModel) -> list[dict[str, object]]:
    """The accuracy on the test images, else that on the validation images, as a hub lists it."""
    measured = model.metrics
    data = str(model.metrics.get("data", "unknown"))
    for name, split in (("top1", "test"), ("accuracy", "validation")):
        if name in measured:
            metric = {"type": "accuracy", "value": float(measured[name])}
            images = {"type": data, "name": data, "split": split}
            task = {"type": "image-classification"}
            return [{"task": task, "dataset": images, "metrics": [metric]}]
    return []


def _program(name: str, check: Check, folded: bool) -> str:
    return (
        f"- `{name}`: any batch size{', batch norms folded' * folded}, {check.megabytes:.1f} MB; logits differ "
        f"from the network's by at most {check.max_difference:.1e} "
        f"(largest logit {check.largest_logit:.3g}, float32's own rounding {check.rounding:.1e})"
    )


def _shown(name: str, value: object) -> str:
    """In the unit of the label, fractions as percentages."""
    return number(name, value) if isinstance(value, float) else str(value)


def _latency_rows(latency: LatencyResult | str, folded: bool) -> list[str]:
    name = "latency" + ", batch norms folded" * folded
    if isinstance(latency, str):
        return [_row(name, f"not measured: {latency}")]
    return [
        _row(
            name,
            f"{latency.median_ms:.3g} ms (interquartile range {latency.iqr_ms:.2g} ms)",
        ),
        _row("latency measured on", latency.device),
    ]


def _row(name: str, value: object) -> str:
    return f"| {_plain(name)} | {_plain(value)} |"


def _plain(value: object) -> str:
    """Text that Markdown and HTML show as it is: names of data, labels and reasons come from anywhere."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    # an underscore inside a word is plain to Markdown: top_5 stays readable
    text = " ".join(text.split())
    text = re.sub(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
    return escape(text, quote=False)


def portable(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts without the places of one machine: of an absolute path only its last name is left."""
    return {
        name: Path(value).name
        if isinstance(value, str) and Path(value).is_absolute()
        else value
        for name, value in facts.items()
    }


def _licence(model: TrainedModel) -> str:
    return str(
        model.found_by.get(
            "licence", "as the licence of the data they were trained on allows"
        )
    )
