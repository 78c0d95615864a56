"""Trained networks in folders: written, loaded back, applied to image files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evaluators import (
    Preprocess,
    TrainedModel,
    load_model,
    predict,
    read_model_folder,
    write_model_folder,
)
from evaluators.data.decode import pixels
from search_spaces import Network, ResNeSt, Task, build
from search_spaces.counting import random_images, unsettled

ARCH = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 16, 16), stem_width=8)
GREY, COLOUR = Task(3, 16, 1, small_images=True), Task(3, 16, 3, small_images=True)


def trained(task: Task = COLOUR) -> tuple[TrainedModel, Network]:
    network = build(ARCH, task)
    unsettled(network, random_images(task, 8)).eval()
    numbers = (0.5,) * task.channels
    preprocess = Preprocess(task.resolution, numbers, numbers)
    labels = ("cat", "dog", "Ζέβρα")
    return TrainedModel(
        ARCH, task, preprocess, labels, {"accuracy": 0.5}, {"run": "first"}
    ), network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, network = trained()
    write_model_folder(tmp_path / "model", model, network.state_dict())
    return tmp_path / "model"


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    model, network = trained()
    write_model_folder(tmp_path / "model", model, network.state_dict())
    state = torch.random.get_rng_state()
    loaded = load_model(tmp_path / "model")
    assert torch.equal(torch.random.get_rng_state(), state), "loading draws nothing"
    assert not loaded.training
    x = random_images(COLOUR, 2)
    assert torch.equal(loaded(x), network(x))
    assert read_model_folder(tmp_path / "model") == model


def test_a_better_epoch_replaces_the_weights(folder: Path) -> None:
    model, network = trained()
    with torch.no_grad():
        network.fc.bias.fill_(7)
    write_model_folder(
        folder, replace(model, metrics={"accuracy": 0.6}), network.state_dict()
    )
    assert load_model(folder).fc.bias.tolist() == [7, 7, 7]
    assert read_model_folder(folder).metrics == {"accuracy": 0.6}
    assert not list(folder.glob(".*")), "nothing unfinished stays"


def test_loading_needs_torch_and_safetensors_alone(folder: Path) -> None:
    code = (
        "import sys; from evaluators import load_model; load_model(sys.argv[1]);"
        "print({'ray', 'optuna', 'pandas', 'pydantic', 'click', 'sklearn', 'fvcore'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    assert done.stdout == "set()\n"


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model, network = trained()
    with pytest.raises(ValueError, match="2 labels for 3 classes"):
        replace(model, labels=("a", "b"))
    with pytest.raises(
        ValueError, match="preprocess makes 3 channels, the network takes 1"
    ):
        replace(model, task=GREY)
    other = replace(
        model, task=replace(COLOUR, num_classes=4), labels=("a", "b", "c", "d")
    )
    with pytest.raises(
        ValueError, match=r"weights: fc.weight has shape \(3, 64\), .* needs \(4, 64\)"
    ):
        write_model_folder(tmp_path / "model", other, network.state_dict())
    assert not (tmp_path / "model").exists()


def damage(folder: Path, name: str, content: str | bytes | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(
            content.encode() if isinstance(content, str) else content
        )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("arch.json", None, "no model folder, arch.json is missing"),
        ("model.safetensors", None, "model.safetensors: no such file"),
        (
            "model.safetensors",
            b"\x08\0\0\0\0\0\0\0{}",
            "damaged or no safetensors file",
        ),
        ("model.safetensors", b"", "damaged or no safetensors file"),
        ("model.json", '{"format": 9}', "format 9; this version reads format 1"),
        ("model.json", "[]", "this version reads format 1"),
        ("model.json", '{"format": 1}', "'metrics' is missing"),
        ("labels.json", "{", "labels.json: cannot be read as JSON"),
        ("labels.json", '["a", 3, "b"]', "labels.json must be a list of strings"),
        ("labels.json", '["a"]', "1 labels for 3 classes"),
        ("arch.json", '{"arch": {}}', "needs a field 'space'"),
        ("arch.json", "3", "model: "),
        ("preprocess.json", '{"resolution": 16}', "preprocess needs a field 'mean'"),
        (
            "preprocess.json",
            '{"resolution": 16, "mean": [0], "std": [0]}',
            "std must be positive",
        ),
        (
            "preprocess.json",
            '{"resolution": 16, "mean": 0, "std": [1]}',
            "mean must be a list",
        ),
        (
            "preprocess.json",
            '{"resolution": 16, "mean": ["x"], "std": [1]}',
            "must be finite numbers",
        ),
        ("preprocess.json", '{"size": 16}', "preprocess has no field 'size'"),
    ],
)
def test_a_damaged_folder_is_named_in_one_line(
    folder: Path, name: str, content: str | bytes | None, message: str
) -> None:
    damage(folder, name, content)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(
        ValueError, match="is missing; these are not the weights of this architecture"
    ):
        load_model(folder)


def photo(path: Path, size: tuple[int, int] = (40, 24), mode: str = "RGB") -> Path:
    values = np.random.default_rng(0).integers(
        0, 256, (size[1], size[0], 3), dtype=np.uint8
    )
    Image.fromarray(values).convert(mode).save(path)
    return path


def test_predictions_are_the_networks(folder: Path, tmp_path: Path) -> None:
    files = [
        photo(tmp_path / f"{size[0]}.png", size)
        for size in ((16, 16), (40, 24), (17, 50))
    ]
    preprocess = read_model_folder(folder).preprocess
    with torch.inference_mode():
        logits = load_model(folder)(
            torch.stack([preprocess.read(path) for path in files])
        )
    found = list(predict(folder, files, top=2, batch_size=2))
    assert [each.path for each in found] == files
    for each, row in zip(found, logits.softmax(1), strict=True):
        values, classes = row.topk(2)
        assert [name for name, _ in each.classes] == [
            ("cat", "dog", "Ζέβρα")[c] for c in classes
        ]
        assert [value for _, value in each.classes] == pytest.approx(
            values.tolist(), abs=1e-6
        )


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "deep.png", "grey.jpg"])
def test_images_are_read_as_those_of_training(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "deep.png":
        Image.fromarray(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)).save(
            path
        )
    else:
        photo(path, (120, 90), "L" if name == "grey.jpg" else "RGB")
    expected = pixels(path, 16, 3).transpose(2, 0, 1)
    found = Preprocess(16, (0.0,) * 3, (1.0,) * 3).read(path) * 255
    assert np.array_equal(found.round().numpy(), expected)


def test_bytes_normalised_alike(tmp_path: Path) -> None:
    mean, deviation = (
        torch.tensor([100.0, 110.0, 120.0]),
        torch.tensor([50.0, 60.0, 70.0]),
    )
    path = photo(tmp_path / "a.png", (16, 16))
    values = torch.from_numpy(pixels(path, 16, 3).copy()).permute(2, 0, 1).float()
    expected = (values - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    found = Preprocess.of_values(16, mean, deviation).read(path)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_photo_is_turned_upright_and_cropped(tmp_path: Path) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    found = Preprocess(16, (0.0,), (1.0,)).read(tmp_path / "a.png")
    assert found[0, 0, 0] == 0
    assert found[0, -1, 0] == 1
    edge = np.zeros((32, 32), np.uint8)
    edge[8:24, 8:24] = 255
    Image.fromarray(edge).save(tmp_path / "b.png")
    assert Preprocess(16, (0.0,), (1.0,), crop=0.5).read(tmp_path / "b.png").min() == 1


def test_what_cannot_be_read_is_said_and_the_rest_predicted(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(
        photo(tmp_path / "whole.jpg").read_bytes()[:200]
    )
    (tmp_path / "notes.txt").write_text("no image")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    names = ["broken.jpg", "whole.jpg", "notes.txt", "none.png", "float.tiff"]
    found = list(predict(folder, [tmp_path / name for name in names]))
    assert [bool(each.classes) for each in found] == [False, True, False, False, False]
    assert "No such file" in str(found[3].error)
    assert all(
        str(each.path) in each.error and "\n" not in each.error
        for each in found
        if each.error
    )
    with pytest.raises(ValueError, match="top must be at least 1, not 0"):
        next(predict(folder, [], top=0))


def test_a_grey_network_takes_photos(tmp_path: Path) -> None:
    model, network = trained(GREY)
    write_model_folder(tmp_path / "model", model, network.state_dict())
    (found,) = predict(tmp_path / "model", [photo(tmp_path / "a.jpg")])
    assert sum(value for _, value in found.classes) == pytest.approx(1)


def test_files_are_plain_json(folder: Path) -> None:
    assert json.loads((folder / "labels.json").read_text())[2] == "Ζέβρα"
    assert json.loads((folder / "arch.json").read_text())["task"] == vars(COLOUR)
