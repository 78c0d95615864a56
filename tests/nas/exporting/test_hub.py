"""A model folder to a hub and back, by the client that everybody uses."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard, constants, snapshot_download

import nas
import run_search
from evaluators import load_model
from nas.exporting.hub import MODEL_FILES
from tests.nas.exporting.hub_server import TOKEN, Hub, running_hub
from tests.nas.exporting.test_export import trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"  # the client, of its own HTTP library
)
REPO = "lab/digits-1.0"


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """As ``HF_ENDPOINT`` would, which the client reads once, when it is imported."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A running hub, which the client takes for the one of ``HF_ENDPOINT``, and a token for it."""
    with running_hub() as hub:
        use_hub(monkeypatch, hub.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model, and beside its files one that is none of them."""
    folder = tmp_path_factory.mktemp("hub")
    trained(folder / "trained")
    nas.export(folder / "trained", folder / "model", onnx=False, program=False)
    (folder / "model" / "notes.pkl").write_bytes(b"of nobody else's concern")
    return folder / "model"


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(run_search.main, [str(word) for word in words])


def test_a_model_goes_to_a_hub_and_comes_back(
    hub: Hub, model: Path, tmp_path: Path
) -> None:
    pushed = command("push", model, REPO, "--private")
    assert pushed.exit_code == 0, pushed.output
    assert pushed.stdout == f"{hub.address}/{REPO}\n"
    assert hub.private[REPO]
    names = {path.name for path in model.iterdir()} & set(MODEL_FILES)
    assert set(hub.repos[REPO]) == names
    loaded = command("load", REPO, "--out", tmp_path / "back")
    assert loaded.exit_code == 0, loaded.output
    for path in (tmp_path / "back").iterdir():
        assert path.read_bytes() == (model / path.name).read_bytes()
    assert {path.name for path in (tmp_path / "back").iterdir()} == names
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert load_model(tmp_path / "back")(images).equal(load_model(model)(images))
    again = command("push", model, REPO)
    assert again.exit_code == 0, "a new version of the same model"


def test_any_other_client_can_take_it(hub: Hub, model: Path, tmp_path: Path) -> None:
    nas.push_to_hub(model, REPO)
    plain = Path(snapshot_download(REPO, local_dir=tmp_path / "plain"))
    assert (plain / "model.safetensors").read_bytes() == (
        model / "model.safetensors"
    ).read_bytes()


def test_the_card_is_one_that_the_hub_reads(hub: Hub, model: Path) -> None:
    nas.push_to_hub(model, REPO)
    sent = hub.cards[-1]
    assert sent == (model / "README.md").read_text()
    card = ModelCard(sent).data
    told = card.to_dict()
    assert (told["library_name"], told["license"]) == ("splitsearch", "other")
    assert told["pipeline_tag"] == "image-classification"
    (result,) = card.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.9137)
    assert (result.dataset_name, result.dataset_split) == ("digits", "validation")
    assert yaml.safe_load(sent.split("---")[1])["tags"][-1] == "resnest"


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_name_or_revision_that_does_not_exist_is_one_line(
    hub: Hub, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert "lab/none: no such repository" in refused(
        command("load", "lab/none", "--out", out)
    )
    assert "no name of a repository" in refused(command("load", "a/b/c", "--out", out))
    nas.push_to_hub(model, REPO)
    wrong = command("load", REPO, "--revision", "v9", "--out", out)
    assert "no such repository or revision" in refused(wrong)
    assert not out.exists()


def test_what_is_no_model_of_ours_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.repos["lab/other"] = {"README.md": b"hello", "arch.json": b"{}"}
    found = command("load", "lab/other", "--out", tmp_path / "out")
    assert (
        "lab/other is no model of SplitSearch: no model folder, preprocess.json is missing"
        in refused(found)
    )
    assert not list(tmp_path.glob("*out*"))


def test_a_hub_that_is_not_there_is_one_line(
    hub: Hub, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    use_hub(monkeypatch, nowhere)
    for words in (("push", model, REPO), ("load", REPO, "--out", tmp_path / "out")):
        assert f"{nowhere} cannot be reached" in refused(command(*words))


def test_a_token_that_will_not_do_is_one_line(
    hub: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    assert "hf auth login" in refused(command("push", model, REPO))


def test_what_cannot_be_loaded_again_is_not_pushed(hub: Hub, tmp_path: Path) -> None:
    trained(tmp_path / "trained")
    assert "`splitsearch export` writes it" in refused(
        command("push", tmp_path / "trained", REPO)
    )
    (tmp_path / "trained" / "model.safetensors").unlink()
    assert "model.safetensors" in refused(command("push", tmp_path / "trained", REPO))
    assert not hub.repos


def test_without_the_library_the_extra_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (("push", model, REPO), ("load", REPO, "--out", tmp_path / "out")):
        assert "pip install 'splitsearch[hub]'" in refused(command(*words))
