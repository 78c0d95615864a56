"""Where folders of images may lie, and what is read of them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from evaluators import load, load_test
from tests.evaluators.data.image_files import (
    assert_refused,
    encoded,
    numbers,
    picture,
    settings,
    write_folder,
)

pytestmark = pytest.mark.usefixtures("cache")


class TestFolders:
    @pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training"])
    @pytest.mark.parametrize("test", ["test", "valid", "Val", "testing", "dev"])
    def test_splits_by_any_of_their_names(
        self, tmp_path: Path, train: str, test: str
    ) -> None:
        write_folder(tmp_path / train)
        write_folder(tmp_path / test, each=2, first=100)
        wanted = settings("imagefolder", tmp_path)
        assert sorted(
            numbers(load(wanted).train) + numbers(load(wanted).validation)
        ) == [*range(24)]
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    def test_a_test_folder_without_train_is_no_class(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "test")
        write_folder(tmp_path / "valid")
        assert_refused("holds test and no train", settings("imagefolder", tmp_path))

    def test_an_archive_in_a_folder_of_its_own_name(self, tmp_path: Path) -> None:
        """As unpacked, with what macOS adds."""
        write_folder(tmp_path / "data" / "train" / "train")
        write_folder(tmp_path / "data" / "test", each=2, first=100)
        write_folder(tmp_path / "__MACOSX" / "data" / "train", classes=1)
        wanted = settings("imagefolder", tmp_path)
        assert len(load(wanted).train.labels) == 18
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    @pytest.mark.parametrize(
        ("train", "test"),
        [("seg_train", "seg_test"), ("ILSVRC2012_img_train", "ILSVRC2012_img_val")],
    )
    def test_splits_by_a_part_of_their_names(
        self, tmp_path: Path, train: str, test: str
    ) -> None:
        """Kaggle's Intel scenes and ImageNet; a third folder says nothing."""
        write_folder(tmp_path / train)
        write_folder(tmp_path / test, each=2, first=100)
        write_folder(tmp_path / "seg_pred", classes=1)
        wanted = settings("imagefolder", tmp_path)
        assert len(load(wanted).train.labels) == 18
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    @pytest.mark.parametrize("train", [True, False])
    def test_a_split_without_folders_of_classes(
        self, tmp_path: Path, train: bool
    ) -> None:
        """ImageNet's val as it is downloaded; or train and test taken for two classes."""
        root = write_folder(tmp_path / "train" if train else tmp_path / "other")
        flat = tmp_path / "root" / "val"
        flat.mkdir(parents=True)
        (root if train else root / "class0").rename(tmp_path / "root" / "train")
        (flat / "1.png").write_bytes(encoded(1))
        assert_refused(
            f"{flat if train else flat.with_name('train')}: needs a folder of images",
            settings("imagefolder", tmp_path / "root"),
        )

    def test_a_class_called_train(self, tmp_path: Path) -> None:
        for name in ("car", "ship", "train"):
            write_folder(tmp_path / name / "sunny", classes=1, each=4)
        assert_refused(
            "holds train and car; if train is the images to train with, name",
            settings("imagefolder", tmp_path),
        )
        for name in ("car", "ship", "train"):
            (tmp_path / name / "sunny" / "class0").rename(tmp_path / name / "rain")
            (tmp_path / name / "sunny").rmdir()
        for path in [*tmp_path.glob("*/rain/*")]:
            path.rename(path.parents[1] / path.name)
        for name in ("car", "ship", "train"):
            (tmp_path / name / "rain").rmdir()
        assert load(settings("imagefolder", tmp_path)).classes == (
            "car",
            "ship",
            "train",
        )

    def test_accents_are_the_same_however_they_are_written(
        self, tmp_path: Path
    ) -> None:
        """macOS writes two characters, others one."""
        for part, form in (("train", "NFC"), ("test", "NFD")):
            write_folder(tmp_path / part)
            name = unicodedata.normalize(form, "caf\xe9")
            (tmp_path / part / "class1").rename(tmp_path / part / name)
        wanted = settings("imagefolder", tmp_path)
        assert load(wanted).classes == ("caf\xe9", "class0", "class2")
        assert load_test(wanted).labels.bincount().tolist() == [8, 8, 8]

    def test_one_split_twice(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "training")
        assert_refused(
            "holds train and training; which is train?",
            settings("imagefolder", tmp_path),
        )

    def test_sub_folders_count_as_in_torchvision(self, tmp_path: Path) -> None:
        """``torchvision.datasets.folder.make_dataset`` walks them, links followed."""
        root = write_folder(tmp_path / "mine", classes=2)
        deep = root / "class0" / "summer" / "july"
        deep.mkdir(parents=True)
        (deep / "200.png").write_bytes(encoded(200))
        (deep / "round").symlink_to(root / "class0")
        walked = [
            Path(folder) / name
            for label in ("class0", "class1")
            for folder, _, names in os.walk(root / label)
            for name in names
        ]
        wanted = settings("imagefolder", root)
        parts = [
            *numbers(load(wanted).train),
            *numbers(load(wanted).validation),
            *numbers(load_test(wanted)),
        ]
        assert len(parts) == len(walked) == 17
        assert 200 in parts

    def test_what_pillow_reads_is_read_and_the_rest_is_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "mine", classes=2)
        picture(50).save(root / "class0" / "a.jfif", "JPEG")
        picture(51).save(root / "class0" / "a.avif")
        picture(52).save(root / "class0" / "a.jp2")
        for name in ("a.heic", "b.heic", "notes.txt", "README"):
            (root / "class1" / name).write_text("no image")
        picture(53).save(root / "stray.png")
        load(settings("imagefolder", root))
        assert len(caplog.messages) == 2
        assert "19 images of 2 classes; passed over" in caplog.text
        assert "2 .heic, 1 without a suffix, 1 .txt" in caplog.text
        assert "images beside the class folders, in no class: 1" in caplog.text

    def test_a_class_whose_name_no_file_can_hold(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "mine")
        latin = os.fsdecode(b"caf\xe9")
        (tmp_path / "mine" / "class2").rename(tmp_path / "mine" / latin)
        assert_refused(
            "has a name that is not UTF-8; rename it",
            settings("imagefolder", tmp_path / "mine"),
        )

    def test_a_class_of_few_keeps_one_to_train_with(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for label, count in enumerate((300, 3, 2)):
            (tmp_path / f"class{label}").mkdir()
            for number in range(count):
                content = encoded(number % 250, side=2)
                (tmp_path / f"class{label}" / f"{number}.png").write_bytes(content)
        dataset = load(settings("imagefolder", tmp_path))
        assert dataset.train.labels.bincount(minlength=3).min() >= 1
        assert "too few images of class2 to have one for validation" in caplog.text


def test_a_hundred_unreadable_files_are_a_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path / "mine", classes=2, each=100, side=2)
    for path in [*(root / "class0").iterdir()][:60]:
        path.write_text("no image")
    load(settings("imagefolder", root, max_corrupt=0.9))
    assert len([line for line in caplog.messages if "left out" in line]) == 6
    with pytest.raises(ValueError, match="images cannot be read"):
        load(settings("imagefolder", root))


def test_a_grey_image_larger_than_the_rest_is_no_surprise(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine", mode="L")
    Image.new("L", (80, 60), 77).save(root / "class0" / "large.png")
    assert load(settings("imagefolder", root, resolution=8)).task.channels == 1
