"""Every column that the tables of a run may hold: what it means and how it reads. A new metric is a line here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["count", "number", "text", "time"]
MetricValues = Mapping[str, Any]
"""What is known of a network, by the names of its metrics; what was not measured is missing, or None."""


@dataclass(frozen=True)
class Metric:
    """One column: its ``unit`` as stored, the ``label`` a person reads.

    ``logarithmic``: a cost that spans powers of ten. ``signature`` names the column that says under which
    conditions a value was measured: values with different signatures do not compare.
    """

    kind: Kind = "number"
    unit: str = ""
    label: str = ""
    logarithmic: bool = False
    signature: str = ""


COUNT = Metric("count")
TEXT = Metric("text")
TIME = Metric("time")
FRACTION = Metric(unit="fraction")
TRAINED_LOSS = Metric(signature="fidelity")
TRAINED_ACCURACY = Metric(unit="fraction", signature="fidelity")
THROUGHPUT = Metric(unit="images/s")

METRICS = {
    # identity and bookkeeping
    "trial": COUNT,
    "epoch": COUNT,
    "epochs": COUNT,
    "seed": COUNT,
    "duplicate_of": COUNT,
    "arch_id": TEXT,
    "space": TEXT,
    "status": TEXT,
    "error": TEXT,
    "device": TEXT,
    "arch": TEXT,
    "recipe": TEXT,
    # of finalists: why it was trained, what it is called, what it was in the search
    "role": TEXT,
    "network": TEXT,
    "search_trial": Metric("count", label="trial in the search"),
    "seeds": COUNT,
    "started": TIME,
    "finished": TIME,
    # how good
    "accuracy": TRAINED_ACCURACY,
    "accuracy_se": Metric(unit="fraction", signature="fidelity"),
    "accuracy_mirrored": TRAINED_ACCURACY,
    "fidelity": TEXT,
    "validation_accuracy": FRACTION,
    "proxy_accuracy": Metric(unit="fraction", label="accuracy in the search"),
    "top1": FRACTION,
    "top5": FRACTION,
    "top5_accuracy": FRACTION,
    "calibration_error": Metric(unit="fraction"),
    "train_loss": TRAINED_LOSS,
    "validation_loss": TRAINED_LOSS,
    "validation_loss_se": TRAINED_LOSS,
    "test_loss": Metric(),
    # exact costs
    "flops": Metric("count", "FLOP", "FLOPs", logarithmic=True),
    "fvcore_flops": Metric("count", "FLOP", "FLOPs by fvcore", logarithmic=True),
    "macs": Metric("count", "MAC", "MACs", logarithmic=True),
    "params": Metric("count", "parameters", "parameters", logarithmic=True),
    "activations": Metric("count", "elements", "activations", logarithmic=True),
    # measured costs
    "latency_ms": Metric(unit="ms", label="latency", signature="device"),
    "latency_iqr_ms": Metric(unit="ms", label="latency IQR", signature="device"),
    "latency_se_ms": Metric(unit="ms", label="latency s.e.", signature="device"),
    "predicted_latency_ms": Metric(
        unit="ms",
        label="predicted latency",
        signature="predicted_latency_device",
    ),
    "memory_mb": Metric(unit="MB", label="memory", signature="device"),
    "seconds": Metric(unit="s", label="time"),
    "validation_seconds": Metric(unit="s", label="validation"),
    "images_per_second": THROUGHPUT,
    # published models
    "resolution": Metric("count", "pixels"),
    "cpu_latency_ms": Metric(unit="ms", label="CPU latency"),
    "rtx3090_images_per_second": THROUGHPUT,
    "rtx3090_nhwc_images_per_second": THROUGHPUT,
    "rtx4090_images_per_second": THROUGHPUT,
}

TRIAL_COLUMNS = (
    *(
        "trial",
        "arch_id",
        "space",
        "status",
        "accuracy",
        "flops",
        "macs",
        "params",
        "activations",
    ),
    *(
        "latency_ms",
        "latency_iqr_ms",
        "memory_mb",
        "epochs",
        "seconds",
        "error",
        "device",
        "seed",
    ),
    *("started", "finished"),
)
EPOCH_COLUMNS = (
    *(
        "trial",
        "epoch",
        "accuracy",
        "train_loss",
        "validation_loss",
        "seconds",
        "images_per_second",
    ),
)
CLOCKS = ("seconds", "validation_seconds", "images_per_second")
"""What two trainings of the same network by the same seed differ in."""
RETRAINED_COLUMNS = ("trial", "seed", "top1", "top5", "epochs", "recipe", "finished")

OTHER = Metric()
"""A user's own metric."""


def metric(name: str) -> Metric:
    """What is known of a column; of one that a user's evaluator brings, nothing.

    ``…_spread``, the deviation between repetitions, has the unit of its metric.
    """
    stem = name.removesuffix("_spread")
    if name in METRICS or stem not in METRICS:
        return METRICS.get(name, OTHER)
    known = METRICS[stem]
    return replace(known, kind="number", label=f"{known.label or stem} spread")


def error_column(name: str) -> str:
    """Where a metric's standard error stands: ``accuracy_se``, ``latency_se_ms``."""
    stem = name.removesuffix("_ms")
    return f"{stem}_se{name.removeprefix(stem)}"


def units(columns: Iterable[str]) -> dict[str, str]:
    """The units of those columns that have one, for a table's ``attrs["units"]``."""
    return {name: metric(name).unit for name in columns if metric(name).unit}


KNOBS = ("arch.", "training.")
"""How the columns of knobs begin: those of the network, and those of its training."""


def is_knob(column: str) -> bool:
    """Whether a column of a trials table is a knob of the network or of its training."""
    return column.startswith(KNOBS)


def knob_column(knob: str) -> str:
    """The column of a knob: ``arch.depth1``, ``training.lr``."""
    return knob if is_knob(knob) else f"arch.{knob}"
