"""Images that change between a stop and a resume: refused in one line that says what changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nas
from evaluators import load_test
from tests.nas.tiny import TINY

pytestmark = pytest.mark.usefixtures("cache")
NETWORK = {
    "arch": {
        "space": "resnest",
        "depths": [1, 1, 1, 1],
        "widths": [8, 8, 8, 8],
        "stem_width": 8,
    }
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(tmp_path / "cache"))


def add(folder: Path, count: int, shade: int, colour: str = "L") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng, have = np.random.default_rng(shade), len([*folder.iterdir()])
    for number in range(count):
        noise = rng.integers(0, 60, (8, 8)) + shade
        image = Image.fromarray(noise.astype(np.uint8)).convert(colour)
        image.save(folder / f"{have + number}.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in range(2):
        add(tmp_path / "photos" / f"class{label}", 20, 90 * label)
    return tmp_path / "photos"


def search(photos: Path, out: Path) -> None:
    data = f"data={{name: imagefolder, root: {photos}}}"
    own = [
        "trials=1",
        "evaluators=[complexity, training]",
        "objectives={accuracy: max, flops: min}",
    ]
    nas.search(
        nas.load_config("quick", (*TINY, *own, "reference_point=null", data)),
        out,
        serial=True,
    )


def resume(out: Path) -> None:
    nas.resume(out, ("trials=2",), serial=True)


def test_a_search_goes_on_with_its_own_images_only(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    search(photos, out)
    add(photos / "class1", 4, 100)
    with pytest.raises(
        ValueError, match=r"cannot go on, class 'class1' had 16 images .* has 19"
    ) as caught:
        resume(out)
    assert "\n" not in str(caught.value)
    for path in sorted((photos / "class1").iterdir(), key=lambda path: int(path.stem))[
        20:
    ]:
        path.unlink()
    add(photos / "class2", 20, 150)
    with pytest.raises(ValueError, match="class 'class2' is new among the images"):
        resume(out)
    for path in (photos / "class2").iterdir():
        path.unlink()
    (photos / "class2").rmdir()
    resume(out)


def test_a_search_of_an_earlier_version_goes_on(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    search(photos, out)
    facts = json.loads((out / "environment.json").read_text())
    del facts["images"]
    (out / "environment.json").write_text(json.dumps(facts))
    resume(out)


def test_test_images_are_looked_at_before_the_search(
    photos: Path, tmp_path: Path
) -> None:
    root = tmp_path / "split"
    root.mkdir()
    photos.rename(root / "train")
    add(root / "test" / "class0", 3, 0, "RGB")
    with pytest.raises(
        ValueError, match=r"has colour .* where the images looked at first had none"
    ):
        search(root, tmp_path / "run")
    for path in (root / "test" / "class0").iterdir():
        path.unlink()
    add(root / "test" / "class7", 3, 0)
    with pytest.raises(
        ValueError,
        match="class7: there is no such class among the images to train with",
    ):
        search(root, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_retraining_goes_on_with_its_own_images_only(
    photos: Path, tmp_path: Path
) -> None:
    arch, out = tmp_path / "arch.json", tmp_path / "out"
    arch.write_text(json.dumps(NETWORK))
    options = {
        "data": "imagefolder",
        "engine": "serial",
        "overrides": (f"data.root={photos}", "epochs=1"),
    }
    nas.retrain(arch, out, **options)
    plan = json.loads((out / "plan.json").read_text())
    assert plan["images"]["images"] == {"class0": 16, "class1": 16}
    add(photos / "class1", 4, 100)
    with pytest.raises(ValueError, match="cannot go on, class 'class1' had 16 images"):
        nas.retrain(None, out)
    notes: list[str] = []
    options["overrides"] += (f"init={out}",)
    nas.retrain(arch, tmp_path / "more", note=notes.append, **options)
    assert any(
        "class 'class1' had 16 images" in note and f"since {out} was trained" in note
        for note in notes
    )


def test_pictures_once_for_the_test_stay_there(photos: Path) -> None:
    """Whatever is added, so that a network trained before has not seen them."""
    settings = nas.load_config(
        "quick", (f"data={{name: imagefolder, root: {photos}}}",)
    ).data
    before = {image.numpy().tobytes() for image in load_test(settings).images}
    add(photos / "class0", 10, 100)
    after = {image.numpy().tobytes() for image in load_test(settings).images}
    assert len(before - after) <= 1
