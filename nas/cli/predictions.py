"""Predictions for image files, and as text for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluators import Prediction, predict
from evaluators.data.progress import Progress
from results.strict_json import JsonObject, dumps


def predict_all(
    model: Path,
    images: Sequence[Path],
    progress: Progress,
    **options: Any,
) -> list[Prediction]:
    """``evaluators.predict`` on all images, telling how many are done."""
    found = []
    for done, prediction in enumerate(predict(model, images, **options), start=1):
        found.append(prediction)
        progress("predicting", done, len(images))
    return found


def to_text(predictions: Sequence[Prediction], out: Path | None) -> str:
    """CSV (one row per image and label) or JSON, as the suffix of ``out`` says.

    Raises:
        ValueError: for another suffix.
    """
    if out is None:
        return ""
    if out.suffix == ".json":
        return dumps([_as_dict(each) for each in predictions], indent=2) + "\n"
    if out.suffix != ".csv":
        raise ValueError(f"{out}: name a .csv or .json file")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "rank", "label", "probability", "error"])
    for each in predictions:
        if each.error:
            rows.writerow([each.path, "", "", "", each.error])
        for rank, (label, probability) in enumerate(each.classes, start=1):
            rows.writerow([each.path, rank, label, probability, ""])
    return text.getvalue()


def _as_dict(prediction: Prediction) -> JsonObject:
    if prediction.error:
        return {"file": str(prediction.path), "error": prediction.error}
    classes = [
        {"label": label, "probability": value} for label, value in prediction.classes
    ]
    return {"file": str(prediction.path), "predictions": classes}
