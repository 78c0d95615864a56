"""Networks of every space, exported, run outside the package and compared."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt
from PIL import Image
from torch import Tensor, nn

import nas
import run_search
from evaluators import (
    Preprocess,
    TrainedModel,
    load_model,
    read_model_folder,
    write_model_folder,
)
from nas.exporting.model_card import model_card, portable
from nas.exporting.programs import save_onnx, save_program, to_program
from search_spaces import (
    Arch,
    Network,
    ResNeSt,
    Task,
    build,
    complexity,
    fold,
    get_space,
)
from search_spaces.counting import random_images, unsettled
from search_spaces.testing import draw

TASK = Task(3, 32, 3, small_images=True)
SMALL = ResNeSt(
    depths=(1, 1, 1, 1), widths=(8, 8, 16, 16), stem_width=8, radix=2, cardinality=2
)
NARROW = {
    "resnest": {f"depth{stage}": 1 for stage in range(1, 5)}
    | {f"width{stage}": [16, 24, 32] for stage in range(1, 5)}
    | {"radix": [2, 4]},
    "regnety": {
        "depth": range(4, 7),
        "w0": [8, 16],
        "wm": [2.0, 2.2],
        "attention": ["se", "split"],
    },
    "fbnetv2": {f"rows{stage}": 1 for stage in range(1, 6)}
    | {"repeat": 1, "attention": "split", "radix": [2, 4], "operator": ["k3", "k5"]},
}


def trained(folder: Path, arch: Arch = SMALL, task: Task = TASK) -> Network:
    network = build(arch, task)
    unsettled(network, random_images(task, 8)).eval()
    numbers = (0.5,) * task.channels
    labels = tuple(f"class {number}" for number in range(task.num_classes))
    facts = TrainedModel(
        arch,
        task,
        Preprocess(task.resolution, numbers, numbers),
        labels,
        {"accuracy": 0.9137, "data": "digits"},
        {"search": "runs/first", "trial": 28},
    )
    write_model_folder(folder, facts, network.state_dict())
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    folder = tmp_path_factory.mktemp("export")
    network = trained(folder / "retrained")
    nas.export(folder / "retrained", folder / "model")
    return network, folder / "model"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        run_search.main, [str(argument) for argument in arguments]
    )


def test_the_folder_holds_what_it_should(exported: tuple[Network, Path]) -> None:
    _, folder = exported
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "arch.json", "labels.json", "model.json", "model.onnx", "model.pt2",
        "model.safetensors", "preprocess.json",
    }  # fmt: skip
    assert {path.name for path in folder.parent.iterdir()} == {"model", "retrained"}, (
        "nothing unfinished"
    )


def test_three_lines_load_it_back(exported: tuple[Network, Path]) -> None:
    network, folder = exported
    x = random_images(TASK, 2)
    assert torch.equal(load_model(folder)(x), network(x))
    assert any(
        isinstance(each, nn.BatchNorm2d) for each in load_model(folder).modules()
    ), "as trained"


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_programs_take_any_batch(
    exported: tuple[Network, Path], batch: int
) -> None:
    network, folder = exported
    x = random_images(TASK, batch)
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(["logits"], {"images": x.numpy()})
    program = torch.export.load(folder / "model.pt2").module()
    with torch.inference_mode():
        expected = network(x)
        torch.testing.assert_close(
            torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(program(x), expected, rtol=1e-4, atol=1e-4)


def test_no_file_holds_code(exported: tuple[Network, Path]) -> None:
    _, folder = exported
    names = zipfile.ZipFile(folder / "model.pt2").namelist()
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        inner = [
            archive.read(name)
            for name in names
            if name.endswith("sample_inputs/model.pt")
        ]
    assert all(
        len(each) < 1000 and b"numpy" not in each and b"tensor" not in each
        for each in inner
    )


def test_the_card_tells_what_was_measured(exported: tuple[Network, Path]) -> None:
    card = (exported[1] / "README.md").read_text()
    for text in (
        "91.37",
        "digits",
        "runs/first",
        "trial: 28",
        "FLOPs",
        "latency",
        "Licence",
        "model.onnx",
    ):
        assert text in card
    assert SMALL.id in card


def test_the_card_shows_names_as_they_are(exported: tuple[Network, Path]) -> None:
    """Read by a Markdown parser: what stands in names makes no tag, link, emphasis or column."""
    evil = "<img src=x onerror=alert(1)> ![a](http://a/b.png) *b* `c` _d_ | e_f \\ &lt;"
    model = read_model_folder(exported[1])
    model = replace(model, found_by={"run": evil, evil: 1}, metrics={"data": evil})
    card = model_card(model, complexity(SMALL, TASK), evil, {}, True)
    html = MarkdownIt("commonmark").enable("table").render(card)
    assert not {"img", "em", "a"} & set(re.findall(r"<(\w+)", html))
    assert unescape(re.sub(r"<[^>]+>", "", html)).count(evil) == 4


def test_the_card_is_of_no_one_machine(exported: tuple[Network, Path]) -> None:
    facts = {"run": "/home/ann/runs/first", "init": "runs/old", "seed": 3}
    assert portable(facts) == {"run": "first", "init": "runs/old", "seed": 3}


def test_the_card_has_one_unit_for_accuracies(exported: tuple[Network, Path]) -> None:
    model = read_model_folder(exported[1])
    model = replace(model, metrics={"top1": 0.9137, "top1_spread": 0.0042})
    card = model_card(model, complexity(SMALL, TASK), "busy", {}, True)
    assert "| top1 (%) | 91.37 |" in card
    assert "| top1 spread (%) | 0.42 |" in card


def test_programs_keep_their_norms_if_asked(tmp_path: Path) -> None:
    network = build(SMALL, TASK).eval()
    folded, whole = (to_program(each) for each in (fold(network), network))
    assert "batch_norm" in str(whole.graph)
    assert "batch_norm" not in str(folded.graph)
    assert save_program(whole, tmp_path / "a.pt2", network).max_difference < 1e-5


@pytest.mark.parametrize(
    "arch",
    [
        arch
        for name, knobs in NARROW.items()
        for arch in draw(get_space(name, **knobs), 2)
    ],
    ids=lambda arch: f"{arch.space}-{arch.id}",
)
def test_architectures_of_every_space_export(arch: Arch, tmp_path: Path) -> None:
    check_exports(arch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NARROW)
def test_architectures_of_the_whole_spaces_export(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(10):
        (tmp_path / str(number)).mkdir()
        check_exports(
            get_space(name).sample(rng, limits={"params": (0, 2e7)}),
            tmp_path / str(number),
        )


def check_exports(arch: Arch, folder: Path) -> None:
    task = Task(10, 64)
    network = build(arch, task)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = (
                1.0  # statistics of what it sees, so that the logits stay near 1
            )
    # noise alone is pooled to nearly a constant, whose deviation a gate's norm would divide by
    contrast, brightness = (
        torch.rand(2, 16, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 2
    )
    unsettled(network, random_images(task, 16) * contrast + brightness).eval()
    program = to_program(fold(network))
    for check in (
        save_onnx(program, folder / "model.onnx", network),
        save_program(program, folder / "model.pt2", network),
    ):
        assert check.max_difference <= max(
            1e-4 * max(1.0, check.largest_logit), 5 * check.rounding
        )
        assert check.rounding < 1e-3 * max(1.0, check.largest_logit), (
            "else the comparison says little"
        )
        assert check.largest_logit > 0.01


def test_a_program_that_differs_is_not_kept(tmp_path: Path) -> None:
    network, other = (
        build(SMALL, TASK, zero_gamma=False).eval(),
        build(SMALL, TASK, zero_gamma=False).eval(),
    )
    with pytest.raises(
        ValueError,
        match=r"model.pt2: its logits differ from the network's by .*not kept",
    ):
        save_program(to_program(other), tmp_path / "model.pt2", network)


def test_from_the_command_line_to_predictions(tmp_path: Path) -> None:
    trained(tmp_path / "retrained")
    result = invoke(
        "export",
        tmp_path / "retrained",
        "--out",
        tmp_path / "model",
        "--no-onnx",
        "--no-program",
    )
    assert result.exit_code == 0, result.output
    Image.fromarray(np.full((40, 30, 3), 99, np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"none")
    for out in ("found.csv", "found.json"):
        result = invoke(
            "predict", tmp_path / "model", tmp_path / "a.jpg", "--out", tmp_path / out
        )
        assert result.exit_code == 0, result.output
        assert "class 1" in result.stdout
        assert "class 1" in (tmp_path / out).read_text()
    result = invoke(
        "predict", tmp_path / "model", tmp_path / "b.jpg", tmp_path / "a.jpg"
    )
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"error: {tmp_path / 'b.jpg'}: cannot be read as an image"
    )
    assert result.stderr.count("\n") == 1
    assert "class 1" in result.stdout, "the others are predicted"


def test_other_labels(tmp_path: Path) -> None:
    trained(tmp_path / "retrained")
    (tmp_path / "labels.txt").write_text("cat\ndog\nhen\n")
    skip = ("--no-onnx", "--no-program", "--labels", tmp_path / "labels.txt")
    assert (
        invoke(
            "export", tmp_path / "retrained", "--out", tmp_path / "model", *skip
        ).exit_code
        == 0
    )
    assert read_model_folder(tmp_path / "model").labels == ("cat", "dog", "hen")
    (tmp_path / "labels.txt").write_text("cat\n")
    result = invoke(
        "export", tmp_path / "retrained", "--out", tmp_path / "other", *skip
    )
    assert result.stderr == "error: 1 labels for 3 classes\n"


def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "retrained")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "model"
    for arguments, message in [
        (
            ["resnest14d", "--out", out],
            "resnest14d is a network without weights: --init official takes",
        ),
        (["resnest14d", "--init", "x", "--out", out], "a network without weights"),
        (
            ["regnety_200mf", "--init", "official", "--out", out],
            "there are official weights for resnest50,",
        ),
        (
            ["nonsense", "--out", out],
            "nonsense is no model folder, and there is no published network 'nonsense'",
        ),
        ([tmp_path / "empty", "--out", out], "no model folder, arch.json is missing"),
        ([tmp_path / "retrained", "--out", tmp_path / "empty"], "empty exists already"),
        (
            [tmp_path / "retrained", "--init", "official", "--out", out],
            "has weights of its own",
        ),
        ([tmp_path / "retrained", "--device", "cuda:9", "--out", out], "'cuda:9'"),
    ]:
        result = invoke("export", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    result = invoke("predict", tmp_path / "retrained", "x.png", "--out", "x.txt")
    assert result.stderr == "error: x.txt: name a .csv or .json file\n"
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "retrained"}


def test_damaged_weights_leave_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "retrained")
    (tmp_path / "retrained/model.safetensors").write_bytes(b"half of it")
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        nas.export(tmp_path / "retrained", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["retrained"]


class Moody(nn.Module):
    """Takes a way that depends on the data, which no exporter can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_followed_is_named() -> None:
    network = build(SMALL, TASK)
    network.relu = Moody()
    with pytest.raises(
        ValueError, match=r"torch.export cannot follow this network \(.*--no-onnx"
    ):
        to_program(network)
