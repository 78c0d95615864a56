"""A model folder on a hub of models, and back, by ``huggingface_hub``.

Only the files of a model folder travel, none of them a pickle.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from evaluators import load_model

CARD = "README.md"
MODEL_FILES = (
    CARD,
    "arch.json",
    "labels.json",
    "model.json",
    "model.onnx",
    "model.pt2",
    "model.safetensors",
    "preprocess.json",
)


def push_to_hub(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    endpoint: str | None = None,
) -> str:
    """Upload a model folder as the repository ``repo`` (``"owner/name"``), new or not; returns its address.

    The token is that of ``hf auth login`` or ``$HF_TOKEN``. ``endpoint`` is the address of the hub (default:
    ``$HF_ENDPOINT`` or huggingface.co).

    Raises:
        ValueError: for a folder that is no whole exported model, a name or a token that will not do.
        ConnectionError: if the hub is not there.
        ImportError: if ``huggingface_hub`` is not installed.
    """
    folder = Path(folder)
    hub = _library()
    load_model(folder)  # nothing is uploaded that could not be loaded again
    if not (folder / CARD).is_file():
        raise ValueError(
            f"{folder}: has no {CARD}, the card that a hub shows; `splitsearch export` writes it"
        )
    api = hub.HfApi(endpoint=endpoint, library_name="splitsearch")
    with _in_one_line(api.endpoint, repo):
        address = api.create_repo(repo, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id,
            folder_path=folder,
            allow_patterns=list(MODEL_FILES),
            commit_message="Upload by SplitSearch",
        )
    return str(address)


def load_from_hub(
    repo: str,
    out: str | Path,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
) -> Path:
    """Download the model folder ``repo`` into the new folder ``out``, which appears whole or not at all.

    ``revision`` is a branch, tag or commit (default: the newest).

    Raises:
        ValueError: for an ``out`` that exists, a repository that does not, or one that is no model folder.
        ConnectionError: if the hub is not there.
        ImportError: if ``huggingface_hub`` is not installed.
    """
    out = Path(out)
    hub = _library()
    if out.exists() or out.is_symlink():
        raise ValueError(f"{out} exists already; name a new folder")
    api = hub.HfApi(endpoint=endpoint, library_name="splitsearch")
    out.parent.mkdir(parents=True, exist_ok=True)
    # beside the target: a rename must not cross file systems
    unfinished = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        with _in_one_line(api.endpoint, repo):
            api.snapshot_download(
                repo,
                revision=revision,
                local_dir=unfinished,
                allow_patterns=list(MODEL_FILES),
            )
        shutil.rmtree(unfinished / ".cache", ignore_errors=True)  # the library's own
        _check(unfinished, repo)
        unfinished.chmod(0o755)
        unfinished.rename(out)
    except BaseException:  # Ctrl-C too must leave nothing behind
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return out


def _check(folder: Path, repo: str) -> None:
    try:
        load_model(folder)
    except ValueError as error:
        reason = str(error).replace(f"{folder}/", "").removeprefix(f"{folder}: ")
        raise ValueError(f"{repo} is no model of SplitSearch: {reason}") from error


def _library() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ImportError(
            "hubs need huggingface_hub, which is not installed: pip install 'splitsearch[hub]'"
        ) from error


@contextmanager
def _in_one_line(endpoint: str, repo: str) -> Iterator[None]:
    """The library's errors, most of several lines, as one that says what to do."""
    errors = import_module("huggingface_hub.errors")
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ValueError(
            f"{repo}: no such repository or revision on {endpoint}, or a private one; "
            "for your own: hf auth login, or HF_TOKEN"
        ) from error
    except errors.HFValidationError as error:
        raise ValueError(f"{repo!r} is no name of a repository: {error}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        what = (
            "it wants a token that may write: hf auth login, or HF_TOKEN"
            if status in (401, 403)
            else error.server_message or error
        )
        raise ValueError(f"{repo}: {endpoint} answers {status}; {what}") from error
    except RuntimeError as error:  # how the library reports a broken upload
        raise ConnectionError(f"{repo}: {error} {error.__cause__ or ''}") from error
    except (errors.HTTPError, errors.LocalEntryNotFoundError) as error:
        cause = error.__cause__ or error
        raise ConnectionError(
            f"{endpoint} cannot be reached ({cause}): is there a network, is HF_ENDPOINT right?"
        ) from error
