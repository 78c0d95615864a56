"""Weights to start from, fetched from a server on this machine with weights made on the spot."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluators import Preprocess, TrainedModel, write_model_folder
from nas.retraining.create import create
from nas.retraining.inherit import inherit
from nas.retraining.weights import Start, init_weights
from search_spaces import FBNetV2, Network, RegNetY, ResNeSt, Task, build, reference
from search_spaces.counting import random_images, unsettled
from search_spaces.families.official_weights import OFFICIAL, Published

NAME = "resnest14d"
SMALL = {"depths": (1, 1, 1, 1), "widths": (8, 8, 16, 16), "stem_width": 8}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return build(reference(NAME)).state_dict()


@pytest.fixture
def server(
    tmp_path: Path, weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Serves the weights at the address that the table of official weights names."""
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(weights, folder / "weights.pth")
    digits = hashlib.sha256((folder / "weights.pth").read_bytes()).hexdigest()[:8]
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{httpd.server_port}/weights.pth"
    monkeypatch.setitem(OFFICIAL, NAME, Published(url, digits))
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(tmp_path / "cache"))
    yield folder
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_official_weights_are_fetched_once_and_taken_whole(
    server: Path, weights: dict[str, Tensor]
) -> None:
    told: list[tuple[str, int, int]] = []
    network = build(reference(NAME))
    start = init_weights(
        network, reference(NAME), "official", lambda *step: told.append(step)
    )
    assert all(
        torch.equal(value, weights[name])
        for name, value in network.state_dict().items()
    )
    assert start == Start("official resnest14d", 1.0, ())
    assert told[-1][0] == "downloading resnest14d"
    assert told[-1][1] == told[-1][2] == (server / "weights.pth").stat().st_size
    (server / "weights.pth").unlink()
    init_weights(build(reference(NAME)), reference(NAME), "official")


def test_a_network_is_created_by_name_with_its_weights(
    server: Path, weights: dict[str, Tensor]
) -> None:
    network = create(NAME, pretrained=True, num_classes=10)
    ours = network.state_dict()
    assert all(
        torch.equal(ours[name], value)
        for name, value in weights.items()
        if not name.startswith("fc.")
    )
    assert network.fc.out_features == 10
    with pytest.raises(ValueError, match="did you mean resnest14d"):
        create("resnest14")
    with pytest.raises(ValueError, match="not for regnety"):
        create("regnety_200mf", pretrained=True)


def test_grey_images_and_other_classes(
    server: Path, weights: dict[str, Tensor]
) -> None:
    network = build(reference(NAME), Task(7, 64, 1))
    fresh = network.fc.weight.clone()
    start = init_weights(network, reference(NAME), "official")
    assert start.new == ("fc.weight", "fc.bias")
    assert start.share == pytest.approx(
        1 - 7 * 2049 / sum(p.numel() for p in network.parameters())
    )
    assert torch.equal(network.fc.weight, fresh)
    colour = build(reference(NAME), Task(7, 64))
    init_weights(colour, reference(NAME), "official")
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        ours, theirs = (
            network.eval().features(grey)[-1],
            colour.eval().features(grey.expand(-1, 3, -1, -1))[-1],
        )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_download_goes_on_where_it_was_cut(server: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache/weights"
    cache.mkdir(parents=True)
    whole = (server / "weights.pth").read_bytes()
    (cache / "weights.pth.part").write_bytes(whole[:1000])
    init_weights(build(reference(NAME)), reference(NAME), "official")
    assert (cache / "weights.pth").read_bytes() == whole


def test_a_wrong_checksum_is_refused(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OFFICIAL, NAME, OFFICIAL[NAME]._replace(sha256="01234567"))
    with pytest.raises(ValueError, match="has not the expected checksum"):
        init_weights(build(reference(NAME)), reference(NAME), "official")


def test_the_table_names_published_resnests() -> None:
    assert OFFICIAL.keys() == {
        name for name in map(str, OFFICIAL) if reference(name).space == "resnest"
    }
    for name, (url, digits) in OFFICIAL.items():
        assert url.endswith(f"-{digits}.pth"), name
        assert len(digits) == 8


def test_only_published_networks_have_official_weights() -> None:
    with pytest.raises(
        ValueError,
        match=r"there are official weights for resnest50, .*, not for regnety",
    ):
        init_weights(build(RegNetY(), Task(3, 32)), RegNetY(), "official")


@pytest.mark.parametrize(
    "content", [b"", b"no weights", None, {"epoch": 3}, [torch.zeros(1)]]
)
def test_a_wrong_file_is_named_in_one_line(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    arch = ResNeSt(**SMALL)
    with pytest.raises(ValueError, match=str(path)) as caught:
        init_weights(build(arch, Task(3, 32)), arch, str(path))
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    arch = ResNeSt(**SMALL)
    torch.save(
        build(ResNeSt(**SMALL | {"stem_width": 16}), Task(3, 32)).state_dict(),
        tmp_path / "a.pth",
    )
    with pytest.raises(
        ValueError, match=r"layer1.0.downsample.1.weight is missing; these are not"
    ):
        init_weights(build(arch, Task(3, 32)), arch, str(tmp_path / "a.pth"))


@pytest.mark.parametrize("attention", ["se", "split"])
def test_an_fbnetv2_for_other_classes_keeps_all_but_its_classifier(
    tmp_path: Path, attention: str
) -> None:
    """Its classifier is a convolution, and another layer may be as wide as there are classes."""
    arch = FBNetV2(
        **ROWS, widths=(8,) * 5, expansions=(2.0,) * 5, features=64, attention=attention
    )
    trained, network = build(arch, Task(3, 32)), build(arch, Task(64, 32))
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    facts = TrainedModel(
        arch, trained.task, Preprocess(32, (0.0,) * 3, (1.0,) * 3), ("a", "b", "c")
    )
    write_model_folder(tmp_path / "folder", facts, trained.state_dict())
    for source in ("a.pth", "folder"):
        start = init_weights(network, arch, str(tmp_path / source))
        assert start.new == ("classifier.weight", "classifier.bias")
        assert torch.equal(network.embed.weight, trained.embed.weight)
    assert inherit(build(arch, Task(64, 32)), trained)[1] == (
        "classifier.weight",
        "classifier.bias",
    )


def pair(small: Any, large: Any, task: Task) -> tuple[Network, Network]:
    smaller = build(small, task)
    unsettled(smaller, random_images(task, 8)).eval()
    return smaller, build(large, task).eval()


ROWS = {
    "rows": (1,) * 5,
    "operators": ("k3",) * 5,
    "repeats": (1,) * 5,
    "attended": (True,) * 5,
}
PRESERVED = {
    "plain": (
        ResNeSt(**SMALL, radix=0),
        ResNeSt(depths=(2, 1, 3, 1), widths=(8, 16, 24, 32), stem_width=24, radix=0),
    ),
    "one split": (
        ResNeSt(**SMALL, radix=1),
        ResNeSt(depths=(1, 2, 1, 2), widths=(16, 16, 16, 24), stem_width=8, radix=1),
    ),
    "depthwise": (
        FBNetV2(
            **ROWS,
            widths=(8, 8, 16, 16, 16),
            expansions=(2.0,) * 5,
            features=64,
            attention="se",
        ),
        FBNetV2(
            **ROWS | {"operators": ("k5",) * 5, "repeats": (2,) * 5},
            widths=(8, 16, 16, 24, 16),
            expansions=(2.0, 2.0, 3.0, 4.0, 3.0),
            features=96,
            attention="se",
        ),
    ),
}


@pytest.mark.parametrize("name", PRESERVED)
def test_a_larger_network_starts_as_the_smaller_one(name: str) -> None:
    task = Task(5, 32, 3, small_images=True)
    smaller, larger = pair(*PRESERVED[name], task)
    share, _ = inherit(larger, smaller)
    assert 0.05 < share < 1
    x = random_images(task, 2)
    with torch.inference_mode():
        torch.testing.assert_close(larger(x), smaller(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "arch",
    [
        ResNeSt(**SMALL, radix=4, cardinality=2),
        RegNetY(depth=8, attention="split", radix=2),
    ],
)
def test_the_same_network_inherits_everything(arch: Any) -> None:
    smaller, larger = pair(arch, arch, Task(5, 32))
    assert inherit(larger, smaller) == (1.0, ())
    assert all(
        torch.equal(value, larger.state_dict()[name])
        for name, value in smaller.state_dict().items()
    )


def test_splits_stay_apart() -> None:
    small, large = ResNeSt(**SMALL), ResNeSt(**SMALL | {"widths": (16, 16, 16, 16)})
    smaller, larger = pair(small, large, Task(5, 32))
    inherit(larger, smaller)
    ours, theirs = (
        net.layer1[0].conv2.bn0.weight.view(2, -1) for net in (larger, smaller)
    )
    assert torch.equal(ours[:, : theirs.shape[1]], theirs)


def test_a_folder_seeds_a_larger_network(tmp_path: Path) -> None:
    task, small = Task(2, 32), ResNeSt(**SMALL, radix=0)
    large = ResNeSt(**SMALL | {"depths": (2, 1, 1, 1)}, radix=0)
    smaller, larger = pair(small, large, task)
    facts = TrainedModel(
        small, task, Preprocess(32, (0.0,) * 3, (1.0,) * 3), ("a", "b")
    )
    write_model_folder(tmp_path / "small", facts, smaller.state_dict())
    start = init_weights(larger, large, str(tmp_path / "small"))
    assert all(name.startswith("layer1.1.") for name in start.new)
    x = random_images(task, 2)
    with torch.inference_mode():
        torch.testing.assert_close(larger(x), smaller(x), rtol=1e-4, atol=1e-4)
    other = build(large, Task(3, 32))
    assert "fc.weight" in init_weights(other, large, str(tmp_path / "small")).new
    with pytest.raises(ValueError, match="a resnest cannot seed a regnety"):
        init_weights(
            build(RegNetY(depth=8), task), RegNetY(depth=8), str(tmp_path / "small")
        )
    with pytest.raises(ValueError, match="is for images of 3 channels, not 1"):
        init_weights(build(large, Task(2, 32, 1)), large, str(tmp_path / "small"))
