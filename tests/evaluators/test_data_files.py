"""Images in files, through ``load`` and ``load_test``: folders, parquet and CIFAR's own, all written here."""

from __future__ import annotations

import io
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from evaluators import DataSettings, Split, load, load_test
from evaluators.decode import Entry
from evaluators.decode_pool import decode_all
from search_spaces import Task

CIFAR10 = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(folder))
    return folder


def picture(number: int, side: int = 8, mode: str = "RGB") -> Image.Image:
    """One that is told from any other by its first pixel."""
    image = Image.new("RGB", (side, side), (number, 2 * number % 256, 0))
    return image.convert(mode)


def encoded(number: int, **options: Any) -> bytes:
    file = io.BytesIO()
    picture(number, **options).save(file, "PNG")
    return file.getvalue()


def write_folder(folder: Path, classes: int = 3, each: int = 8, first: int = 0, **options: Any) -> Path:
    """Class c holds the pictures first + c * each and on."""
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(first + label * each, first + (label + 1) * each):
            (folder / f"class{label}" / f"{number}.png").write_bytes(encoded(number, **options))
    return folder


def write_shard(path: Path, numbers: list[int], labels: list[Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [{"bytes": encoded(number, **options), "path": None} for number in numbers]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(content, kind), "label": labels})
    parquet.write_table(table, path, row_group_size=4)
    return path


def write_cifar(root: Path, each: int = 20) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
        data = np.full((each, 3072), 7, dtype=np.uint8)
        data[:, 0] = np.arange(number * each, (number + 1) * each)
        content = {"data": data, "labels": [index % 10 for index in range(each)]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return root


def numbers(split: Split) -> list[int]:
    return sorted(split.images[:, 0, 0, 0].tolist())


def settings(name: str, root: Path, **more: Any) -> DataSettings:
    return DataSettings(name, str(root), **more)


def assert_refused(message: str, wanted: DataSettings, door: Callable[..., object] = load) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        door(wanted)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class TestSources:
    def test_folders_of_classes_in_train_and_val(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "val", each=2, first=100)
        wanted = settings("imagefolder", tmp_path)
        dataset = load(wanted)
        assert dataset.task == Task(num_classes=3, resolution=8, channels=3, small_images=True)
        assert numbers(
            Split(torch.cat([dataset.train.images, dataset.validation.images]), torch.empty(0))
        ) == [*range(24)]
        for split in (dataset.train, dataset.validation):
            assert torch.equal(split.images[:, 0, 0, 0].long() // 8, split.labels)
            assert torch.equal(split.images[:, 1, 0, 0], 2 * split.images[:, 0, 0, 0])
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    def test_a_plain_folder_keeps_a_part_for_the_test(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "mine")
        first, second = (settings("imagefolder", root, split_seed=seed) for seed in (0, 1))
        parts = [load(first).train, load(first).validation, load_test(first)]
        assert sorted(number for part in parts for number in numbers(part)) == [*range(24)]
        assert "has no test images: 5 of its 24 are kept for that" in caplog.text
        assert numbers(load_test(second)) == numbers(load_test(first))
        assert numbers(load(second).validation) != numbers(load(first).validation)

    def test_parquet_in_shards_by_split(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "data" / "train-0.parquet", [*range(10)], [0, 1] * 5)
        write_shard(tmp_path / "data" / "train-1.parquet", [*range(10, 20)], [0, 1] * 5)
        write_shard(tmp_path / "data" / "test-0.parquet", [*range(100, 103)], [0, 1, 1])
        wanted = settings("parquet", tmp_path)
        dataset = load(wanted)
        together = torch.cat([dataset.train.images, dataset.validation.images])
        assert sorted(together[:, 0, 0, 0].tolist()) == [*range(20)]
        assert torch.equal(dataset.train.images[:, 0, 0, 0].long() % 2, dataset.train.labels)
        assert numbers(load_test(wanted)) == [100, 101, 102]

    def test_cifar_as_officially_distributed(self, tmp_path: Path) -> None:
        wanted = settings("cifar10", write_cifar(tmp_path))
        dataset = load(wanted)
        assert dataset.task == Task(num_classes=10, resolution=32, channels=3, small_images=True)
        assert sorted(numbers(dataset.train) + numbers(dataset.validation)) == [*range(100)]
        assert torch.equal(dataset.train.images[:, 0, 0, 0].long() % 10, dataset.train.labels)
        assert numbers(load_test(wanted)) == [*range(100, 120)]

    @pytest.mark.skipif(not CIFAR10.is_dir(), reason=f"CIFAR-10 as parquet is not at {CIFAR10}")
    def test_cifar_as_parquet(self) -> None:
        wanted = settings("cifar10", CIFAR10, subset=3000)
        dataset = load(wanted)
        assert dataset.task == Task(num_classes=10, resolution=32, channels=3, small_images=True)
        assert dataset.train.labels.bincount().tolist() == [225] * 10
        assert dataset.validation.labels.bincount().tolist() == [75] * 10
        assert dataset.mean.tolist() == pytest.approx([125.3, 123.0, 113.9], abs=2)  # of all images
        table = parquet.read_table(CIFAR10 / "train.parquet")
        stored = np.array(Image.open(io.BytesIO(table["image"][0]["bytes"].as_py())))
        every = load(settings("cifar10", CIFAR10, subset=50_000))
        matches = (every.train.images == torch.from_numpy(stored).permute(2, 0, 1)).flatten(1).all(1)
        matches_too = (every.validation.images == torch.from_numpy(stored).permute(2, 0, 1)).flatten(1).all(1)
        assert matches.sum() + matches_too.sum() == 1


GREY = Image.new("RGB", (4, 4), (90, 90, 90))


class TestPixels:
    def decode(self, tmp_path: Path, image: Image.Image, suffix: str = "png", **more: Any) -> torch.Tensor:
        root = write_folder(tmp_path / "mine", classes=2, side=4)
        image.save(root / "class0" / f"odd.{suffix}")
        (root / "class0" / f"odd2.{suffix}").write_bytes((root / "class0" / f"odd.{suffix}").read_bytes())
        wanted = settings("imagefolder", root, resolution=4, max_corrupt=0.0, **more)
        dataset = load(wanted)
        everything = torch.cat([dataset.train.images, dataset.validation.images, load_test(wanted).images])
        assert len(everything) == 18
        return everything[everything[:, 2, 0, 0] > 0]

    def test_the_shorter_side_is_resized_and_the_centre_kept(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(100, 256, (8, 24, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        expected = image.resize((12, 4), Image.Resampling.BILINEAR).crop((4, 0, 8, 4))
        found = self.decode(tmp_path, image).permute(0, 2, 3, 1)
        assert len(found) == 2
        assert (found.int() - torch.from_numpy(np.array(expected)).int()).abs().max() <= 1

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P"])
    def test_other_modes_become_colour(self, tmp_path: Path, mode: str) -> None:
        suffix = "tif" if mode == "CMYK" else "png"
        found = self.decode(tmp_path, GREY.quantize() if mode == "P" else GREY.convert(mode), suffix)
        assert len(found) == 2
        assert (found.float() - 90).abs().max() <= 2

    def test_sixteen_bits_are_scaled(self, tmp_path: Path) -> None:
        found = self.decode(tmp_path, Image.fromarray(np.full((4, 4), 90 * 256, dtype=np.uint16)))
        assert (found == 90).all()
        assert len(found) == 2

    def test_a_large_jpeg_is_not_moved_by_its_shortcut(self, tmp_path: Path) -> None:
        image = Image.new("RGB", (301, 203), (0, 0, 60))
        image.paste((0, 0, 240), (0, 0, 150, 203))
        found = self.decode(tmp_path, image, "jpg")[:, 2].float()
        assert (found[:, :, 0] - 240).abs().max() < 6
        assert (found[:, :, 3] - 60).abs().max() < 6

    def test_grey_images_have_one_channel(self, tmp_path: Path) -> None:
        assert load(settings("imagefolder", write_folder(tmp_path / "mine", mode="L"))).task.channels == 1

    def test_colour_found_late_makes_all_coloured(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "mine", classes=2, each=400, side=2, mode="L")
        for name in range(10):
            (root / "class1" / f"{name}.png").write_bytes(encoded(5, side=2))
        assert load(settings("imagefolder", root)).task.channels == 3

    def test_test_images_follow_the_others(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2, side=20, mode="L")
        assert load_test(settings("imagefolder", tmp_path)).images.shape == (6, 3, 8, 8)


def make_unreadable(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


class TestBadFiles:
    def test_corrupt_images_are_left_out_and_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "train").parent
        make_unreadable(root / "train" / "class1" / "9.png")
        (root / "train" / "class2" / "20.png").write_text("no image")
        with caplog.at_level(logging.WARNING, "splitsearch.data"):
            dataset = load(settings("imagefolder", root, max_corrupt=0.2, validation=0.2))
        counts = [len(part.labels) for part in (dataset.train, dataset.validation)]
        assert len(dataset.corrupt) == caplog.text.count("left out: ") > 0
        assert sum(counts) + len(dataset.corrupt) in (24, 24 - 5)
        for split in (dataset.train, dataset.validation):
            assert torch.equal(split.images[:, 0, 0, 0].long() // 8, split.labels)

    def test_too_many_corrupt_images_are_refused_again_and_again(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path, classes=2, each=20)
        write_folder(tmp_path / "more" / "test", classes=2, each=2)
        (tmp_path / "more" / "train").mkdir()
        for name in ("class0", "class1"):
            (root / name).rename(tmp_path / "more" / "train" / name)
        root = tmp_path / "more"
        make_unreadable(root / "train" / "class0" / "3.png")
        make_unreadable(root / "train" / "class0" / "4.png")
        message = "2 of 40 images cannot be read, and data.max_corrupt=0.01 allows 0; the first is "
        assert_refused(message, settings("imagefolder", root))
        assert len(load(settings("imagefolder", root, max_corrupt=0.05)).corrupt) == 2
        assert_refused(message, settings("imagefolder", root))

    def test_all_images_corrupt(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train", each=3)
        for path in (tmp_path / "train").rglob("*.png"):
            path.write_text("")
        assert_refused("7 of 7 images cannot be read", settings("imagefolder", tmp_path))

    def test_a_class_or_a_split_lost_to_corruption(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test")
        for path in (tmp_path / "train" / "class1").iterdir():
            path.write_text("")
        message = "no image of class 'class1' to train with can be read"
        assert_refused(message, settings("imagefolder", tmp_path, max_corrupt=0.9))
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_text("")
        write_folder(tmp_path / "good" / "train")
        (tmp_path / "test").rename(tmp_path / "good" / "test")
        wanted = settings("imagefolder", tmp_path / "good", max_corrupt=0.9)
        assert_refused("24 of 24 images cannot be read", wanted, load_test)

    def test_a_link_to_nothing_is_a_corrupt_image_and_a_folder_is_none(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test")
        (tmp_path / "train" / "class0" / "folder.png").mkdir()
        os.mkfifo(tmp_path / "train" / "class0" / "pipe.png")
        assert load(settings("imagefolder", tmp_path)).corrupt == ()
        (tmp_path / "train" / "class0" / "gone.png").symlink_to(tmp_path / "gone")
        # another value, because a process keeps what it has loaded
        assert_refused("1 of 25 images cannot be read", settings("imagefolder", tmp_path, max_corrupt=0.02))
        assert len(load(settings("imagefolder", tmp_path, max_corrupt=0.1)).corrupt) == 1

    def test_one_class_is_none(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train", classes=1)
        assert_refused(
            "has one class, 'class0'; there must be two at least", settings("imagefolder", tmp_path)
        )
        write_shard(tmp_path / "shards" / "train.parquet", [*range(8)], [0] * 8)
        assert_refused("has one class, '0'", settings("parquet", tmp_path / "shards"))

    def test_a_damaged_row_group_is_named(self, tmp_path: Path) -> None:
        shard = write_shard(tmp_path / "train.parquet", [*range(24)], [i % 3 for i in range(24)])
        content = bytearray(shard.read_bytes())
        content[60:400] = bytes(340)
        shard.write_bytes(content)
        assert_refused("train.parquet: row group 0 is damaged", settings("parquet", tmp_path))

    def test_images_of_several_sizes_need_a_resolution(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "mine")
        Image.new("RGB", (9, 7)).save(root / "class0" / "odd.png")
        load(settings("imagefolder", root, resolution=6))
        write_folder(tmp_path / "train", classes=1, each=4)
        (tmp_path / "train" / "class1").mkdir()
        for name in range(4):
            Image.new("RGB", (9, 7)).save(tmp_path / "train" / "class1" / f"{name}.png")
        message = "data.resolution: is needed, because the images of"
        assert_refused(message, settings("imagefolder", tmp_path))

    def test_folders_that_will_not_do(self, tmp_path: Path) -> None:
        wanted = settings("imagefolder", tmp_path)
        assert_refused("needs a folder of images for each class", wanted)
        write_folder(tmp_path / "train")
        (tmp_path / "train" / "empty").mkdir()
        (tmp_path / "train" / "empty" / "notes.txt").write_text("no image")
        assert_refused("class 'empty' (label 3) has no images", wanted)
        (tmp_path / "train" / "empty" / "one.png").write_bytes(encoded(1))
        assert_refused("class 'empty' (label 3) has one image", wanted)
        (tmp_path / "train" / "empty" / "two.png").write_bytes(encoded(2))
        write_folder(tmp_path / "test", classes=2)
        (tmp_path / "test" / "other").mkdir()
        assert_refused("other: there is no such class among the images to train with", wanted, load_test)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([0, 1, -1, 0], "train.parquet: label -1 in row 2 must be a whole number from 0"),
            ([0.0, 1.0, 0.0, 1.0], "train.parquet: label 0.0 in row 0 must be"),
            ([0, None, 1, 1], "train.parquet: label None in row 1 must be"),
            (["cat", "cat", "dog", "dog"], "train.parquet: label 'cat' in row 0 must be"),
            ([0, 0, 2, 2], "train.parquet: class '1' (label 1) has no images"),
            ([0, 0, 10**12, 1], "train.parquet: label 1000000000000 in row 2; labels must count from 0"),
        ],
    )
    def test_wrong_labels(self, tmp_path: Path, labels: list[Any], message: str) -> None:
        write_shard(tmp_path / "train.parquet", [0, 1, 2, 3], labels)
        assert_refused(message, settings("parquet", tmp_path))

    def test_a_label_beyond_the_named_classes(self, tmp_path: Path) -> None:
        table = parquet.read_table(write_shard(tmp_path / "train.parquet", [0, 1, 2, 3], [0, 1, 2, 1]))
        described = '{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'
        parquet.write_table(
            table.replace_schema_metadata({"huggingface": described}), tmp_path / "train.parquet"
        )
        assert_refused("label 2 in row 2, but there are 2 classes", settings("parquet", tmp_path))

    def test_parquet_that_will_not_do(self, tmp_path: Path) -> None:
        wanted = settings("parquet", tmp_path)
        assert_refused(f"{tmp_path} holds no *.parquet", wanted)
        whole = write_shard(tmp_path / "train.parquet", [*range(8)], [0, 1] * 4).read_bytes()
        (tmp_path / "train.parquet").write_bytes(whole[: len(whole) // 2])
        assert_refused("train.parquet: not a readable parquet file of images", wanted)
        parquet.write_table(pa.table({"image": [b"x"], "kind": [0]}), tmp_path / "train.parquet")
        assert_refused("no column label, only image, kind", wanted)
        parquet.write_table(pa.table({"picture": [1], "label": [0]}), tmp_path / "train.parquet")
        assert_refused("no column of images", wanted)
        (tmp_path / "train.parquet").write_bytes(whole)
        assert_refused("train.parquet: has 2 classes, cifar10 has 10", settings("cifar10", tmp_path))
        assert_refused("is neither a folder nor a .parquet file", settings("parquet", Path(__file__)))
        (tmp_path / "train.parquet").rename(tmp_path / "test.parquet")
        assert_refused("holds test.parquet and no train*.parquet", wanted)

    def test_cifar_that_will_not_do(self, tmp_path: Path) -> None:
        assert_refused("holds neither cifar-10-batches-py nor *.parquet", settings("cifar10", tmp_path))
        root = write_cifar(tmp_path / "c")
        batch = root / "cifar-10-batches-py" / "data_batch_2"
        whole = batch.read_bytes()
        batch.write_bytes(whole[:-500])
        assert_refused("data_batch_2: not one of CIFAR's Python files, or damaged", settings("cifar10", root))
        batch.unlink()
        assert_refused("data_batch_2: is missing", settings("cifar10", root))

    def test_a_pickle_with_code_runs_none_of_it(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "ran",)

        root = write_cifar(tmp_path / "c")
        (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(
            pickle.dumps({"data": Evil()}, protocol=2)
        )
        assert_refused("data_batch_1: not one of CIFAR's Python files", settings("cifar10", root))
        assert not (tmp_path / "ran").exists()


LOADER = """
import sys
from evaluators import DataSettings, load
progress = []
dataset = load(DataSettings("imagefolder", sys.argv[1]), progress=lambda what, done, total: progress.append(what))
print(dataset.train.images.long().sum().item(), "decoding images" in progress)
"""


class TestCache:
    def test_a_second_process_decodes_nothing(self, tmp_path: Path, cache: Path) -> None:
        write_folder(tmp_path / "train")
        command = [sys.executable, "-c", LOADER, str(tmp_path)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [process.communicate()[0].split() for process in processes]
        assert len({total for total, _ in answers}) == 1
        assert sorted(decoded for _, decoded in answers) == ["False", "True"]
        assert sorted(path.suffix for path in cache.iterdir()) == ["", ".lock"]

    def test_changed_files_are_decoded_anew(self, tmp_path: Path, cache: Path) -> None:
        write_folder(tmp_path / "train")
        load(settings("imagefolder", tmp_path))
        (tmp_path / "train" / "class0" / "new.png").write_bytes(encoded(99))
        # another value, because a process keeps what it has loaded
        dataset = load(settings("imagefolder", tmp_path, download=False, max_corrupt=0.02))
        assert 99 in numbers(dataset.train) + numbers(dataset.validation)

    def test_a_search_decodes_no_test_images(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2)
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_text("no image")
        load(settings("imagefolder", tmp_path))
        assert_refused("6 of 6 images cannot be read", settings("imagefolder", tmp_path), load_test)

    def test_an_interrupted_decoding_leaves_nothing(self, tmp_path: Path, cache: Path) -> None:
        write_folder(tmp_path / "train")

        def interrupt(what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            load(settings("imagefolder", tmp_path), progress=interrupt)
        assert [path.suffix for path in cache.iterdir()] == [".lock"]
        assert load(settings("imagefolder", tmp_path)).task.num_classes == 3

    def test_a_damaged_cache_is_named(self, tmp_path: Path, cache: Path) -> None:
        write_folder(tmp_path / "train")
        load(settings("imagefolder", tmp_path))
        (images,) = cache.rglob("images.npy")
        images.write_bytes(images.read_bytes()[:-100])
        changed = settings("imagefolder", tmp_path, max_corrupt=0.02)
        assert_refused("decoded images are damaged", changed)

    def test_several_processes_decode_what_one_does(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "mine", classes=2, each=40)
        paths = sorted(str(path) for path in root.rglob("*.png"))
        paths[7] = str(tmp_path / "missing.png")
        jobs = [[Entry("file", path, 0, [0], [position])] for position, path in enumerate(paths)]
        outputs = []
        for processes in (1, 2):
            output = tmp_path / f"{processes}.npy"
            np.save(output, np.zeros((80, 8, 8, 3), dtype=np.uint8))
            done: list[int] = []
            failures = decode_all(jobs, output, done.append, processes)
            assert sum(done) == 80
            assert [failure.position for failure in failures] == [7]
            outputs.append(np.load(output))
        assert np.array_equal(*outputs)
        assert (outputs[0][:, 0, 0].any(1)).sum() == 78  # picture 0 is black, and 7 is missing
