"""Images in files, through ``load`` and ``load_test``: folders, parquet and CIFAR's own, all written here."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from evaluators import Split, load, load_test
from evaluators.data.decode import Entry
from evaluators.data.decode_pool import decode_all
from search_spaces import Task
from tests.evaluators.data.image_files import (
    assert_refused,
    encoded,
    numbers,
    settings,
    write_cifar,
    write_folder,
    write_shard,
)

CIFAR10 = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10"
pytestmark = pytest.mark.usefixtures("cache")


class TestSources:
    def test_folders_of_classes_in_train_and_val(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "val", each=2, first=100)
        wanted = settings("imagefolder", tmp_path)
        dataset = load(wanted)
        assert dataset.task == Task(
            num_classes=3, resolution=8, channels=3, small_images=True
        )
        assert numbers(
            Split(
                torch.cat([dataset.train.images, dataset.validation.images]),
                torch.empty(0),
            )
        ) == [*range(24)]
        for split in (dataset.train, dataset.validation):
            assert torch.equal(split.images[:, 0, 0, 0].long() // 8, split.labels)
            assert torch.equal(split.images[:, 1, 0, 0], 2 * split.images[:, 0, 0, 0])
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    def test_a_plain_folder_keeps_a_part_for_the_test(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "mine")
        first, second = (
            settings("imagefolder", root, split_seed=seed) for seed in (0, 1)
        )
        parts = [load(first).train, load(first).validation, load_test(first)]
        assert sorted(number for part in parts for number in numbers(part)) == [
            *range(24)
        ]
        assert "has no test images: 6 of its 24 are kept for that" in caplog.text
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
        assert torch.equal(
            dataset.train.images[:, 0, 0, 0].long() % 2, dataset.train.labels
        )
        assert numbers(load_test(wanted)) == [100, 101, 102]

    def test_cifar_as_officially_distributed(self, tmp_path: Path) -> None:
        wanted = settings("cifar10", write_cifar(tmp_path))
        dataset = load(wanted)
        assert dataset.task == Task(
            num_classes=10, resolution=32, channels=3, small_images=True
        )
        assert sorted(numbers(dataset.train) + numbers(dataset.validation)) == [
            *range(100)
        ]
        assert torch.equal(
            dataset.train.images[:, 0, 0, 0].long() % 10, dataset.train.labels
        )
        assert numbers(load_test(wanted)) == [*range(100, 120)]

    @pytest.mark.skipif(
        not CIFAR10.is_dir(), reason=f"CIFAR-10 as parquet is not at {CIFAR10}"
    )
    def test_cifar_as_parquet(self) -> None:
        wanted = settings("cifar10", CIFAR10, subset=3000)
        dataset = load(wanted)
        assert dataset.task == Task(
            num_classes=10, resolution=32, channels=3, small_images=True
        )
        assert dataset.train.labels.bincount().tolist() == [225] * 10
        assert dataset.validation.labels.bincount().tolist() == [75] * 10
        # of all images
        assert dataset.mean.tolist() == pytest.approx([125.3, 123.0, 113.9], abs=2)
        table = parquet.read_table(CIFAR10 / "train.parquet")
        stored = np.array(Image.open(io.BytesIO(table["image"][0]["bytes"].as_py())))
        every = load(settings("cifar10", CIFAR10, subset=50_000))
        matches = (
            (every.train.images == torch.from_numpy(stored).permute(2, 0, 1))
            .flatten(1)
            .all(1)
        )
        matches_too = (
            (every.validation.images == torch.from_numpy(stored).permute(2, 0, 1))
            .flatten(1)
            .all(1)
        )
        assert matches.sum() + matches_too.sum() == 1


GREY = Image.new("RGB", (4, 4), (90, 90, 90))


class TestPixels:
    def decode(
        self, tmp_path: Path, image: Image.Image, suffix: str = "png", **more: Any
    ) -> torch.Tensor:
        root = write_folder(tmp_path / "mine", classes=2, side=4)
        image.save(root / "class0" / f"odd.{suffix}")
        (root / "class0" / f"odd2.{suffix}").write_bytes(
            (root / "class0" / f"odd.{suffix}").read_bytes()
        )
        wanted = settings("imagefolder", root, resolution=4, max_corrupt=0.0, **more)
        dataset = load(wanted)
        everything = torch.cat(
            [dataset.train.images, dataset.validation.images, load_test(wanted).images]
        )
        assert len(everything) == 18
        return everything[everything[:, 2, 0, 0] > 0]

    def test_transparency_lies_on_white(self, tmp_path: Path) -> None:
        image = Image.new("LA", (4, 4), (0, 0))
        image.paste((0, 255), (0, 0, 2, 4))
        self.decode(tmp_path, image)
        wanted = settings(
            "imagefolder", tmp_path / "mine", resolution=4, max_corrupt=0.0
        )
        parts = load(wanted).train, load(wanted).validation, load_test(wanted)
        rows = [tuple(each[2, 0].tolist()) for part in parts for each in part.images]
        assert rows.count((0, 0, 255, 255)) == 2

    @pytest.mark.parametrize(
        ("bits", "told"),
        [
            (8, "are of one colour, so there is nothing to learn (values from 0 to 0 "),
            (12, "are nearly black (values from 0 to 15 of 255)"),
        ],
    )
    def test_sixteen_bits_that_hold_fewer_are_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, bits: int, told: str
    ) -> None:
        for label in range(2):
            (tmp_path / f"class{label}").mkdir()
            for number in range(4):
                pixels = np.zeros((4, 4), dtype=np.uint16)
                pixels[0] = 2**bits - 1 - number
                image = Image.fromarray(pixels)
                image.save(tmp_path / f"class{label}" / f"{number}.png")
        load(settings("imagefolder", tmp_path))
        assert told in caplog.text
        assert "taken as 0 to 65535: scale pictures that use fewer" in caplog.text

    def test_the_shorter_side_is_resized_and_the_centre_kept(
        self, tmp_path: Path
    ) -> None:
        noise = np.random.default_rng(0).integers(100, 256, (8, 24, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        expected = image.resize((12, 4), Image.Resampling.BILINEAR).crop((4, 0, 8, 4))
        found = self.decode(tmp_path, image).permute(0, 2, 3, 1)
        assert len(found) == 2
        assert (
            found.int() - torch.from_numpy(np.array(expected)).int()
        ).abs().max() <= 1

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P"])
    def test_other_modes_become_colour(self, tmp_path: Path, mode: str) -> None:
        suffix = "tif" if mode == "CMYK" else "png"
        found = self.decode(
            tmp_path, GREY.quantize() if mode == "P" else GREY.convert(mode), suffix
        )
        assert len(found) == 2
        assert (found.float() - 90).abs().max() <= 2

    def test_sixteen_bits_are_scaled(self, tmp_path: Path) -> None:
        found = self.decode(
            tmp_path, Image.fromarray(np.full((4, 4), 90 * 256, dtype=np.uint16))
        )
        assert (found == 90).all()
        assert len(found) == 2

    def test_a_large_jpeg_is_not_moved_by_its_shortcut(self, tmp_path: Path) -> None:
        image = Image.new("RGB", (301, 203), (0, 0, 60))
        image.paste((0, 0, 240), (0, 0, 150, 203))
        found = self.decode(tmp_path, image, "jpg")[:, 2].float()
        assert (found[:, :, 0] - 240).abs().max() < 6
        assert (found[:, :, 3] - 60).abs().max() < 6

    def test_grey_images_have_one_channel(self, tmp_path: Path) -> None:
        assert (
            load(
                settings("imagefolder", write_folder(tmp_path / "mine", mode="L"))
            ).task.channels
            == 1
        )

    def test_colour_found_late_makes_all_coloured(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "mine", classes=2, each=400, side=2, mode="L")
        for name in range(10):
            (root / "class1" / f"{name}.png").write_bytes(encoded(5, side=2))
        assert load(settings("imagefolder", root)).task.channels == 3

    def test_test_images_follow_the_others(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2, side=20, mode="L")
        assert load_test(settings("imagefolder", tmp_path)).images.shape == (6, 3, 8, 8)


LOADER = """
import sys
from evaluators import DataSettings, load
progress = []
dataset = load(DataSettings("imagefolder", sys.argv[1]), progress=lambda what, done, total: progress.append(what))
print(dataset.train.images.long().sum().item(), "decoding images" in progress)
"""


class TestCache:
    def test_a_second_process_decodes_nothing(
        self, tmp_path: Path, cache: Path
    ) -> None:
        write_folder(tmp_path / "train")
        command = [sys.executable, "-c", LOADER, str(tmp_path)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        answers = [process.communicate()[0].split() for process in processes]
        assert len({total for total, _ in answers}) == 1
        assert sorted(decoded for _, decoded in answers) == ["False", "True"]
        assert sorted(path.suffix for path in cache.iterdir()) == ["", ".lock"]

    def test_changed_files_are_decoded_anew(self, tmp_path: Path, cache: Path) -> None:
        write_folder(tmp_path / "train")
        load(settings("imagefolder", tmp_path))
        (tmp_path / "train" / "class0" / "new.png").write_bytes(encoded(99))
        # another value, because a process keeps what it has loaded
        dataset = load(
            settings("imagefolder", tmp_path, download=False, max_corrupt=0.02)
        )
        assert 99 in numbers(dataset.train) + numbers(dataset.validation)

    def test_a_search_decodes_no_test_images(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2)
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_text("no image")
        load(settings("imagefolder", tmp_path))
        assert_refused(
            "6 of 6 images cannot be read", settings("imagefolder", tmp_path), load_test
        )

    def test_an_interrupted_decoding_leaves_nothing(
        self, tmp_path: Path, cache: Path
    ) -> None:
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
        jobs = [
            [Entry("file", path, 0, [0], [position])]
            for position, path in enumerate(paths)
        ]
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
        assert (
            outputs[0][:, 0, 0].any(1)
        ).sum() == 78  # picture 0 is black, and 7 is missing
