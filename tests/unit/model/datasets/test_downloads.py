"""Downloaded files: whole, empty, cut short by any amount, or other than what was published."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.training.datasets.dataset_reader import Missing
from model.training.datasets.downloads import missing_files, problem_of, published_digests

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 20), dtype=np.uint8)


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, form)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("a.txt", "text")
    return file.getvalue()


MADE: dict[str, Callable[[], bytes]] = {
    "a.jpg": lambda: picture("JPEG"),
    "A.JPEG": lambda: picture("JPEG"),
    "a.png": lambda: picture("PNG"),
    "a.nii.gz": lambda: gzip.compress(PIXELS.tobytes()),
    "a.zip": archive,
}


@pytest.mark.parametrize("name", MADE)
def test_a_whole_file_has_no_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MADE[name]())
    assert problem_of(tmp_path / name) is None


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_truncated(tmp_path: Path, name: str, kept: float) -> None:
    content = MADE[name]()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    assert problem_of(tmp_path / name) == "truncated"


def test_a_picture_may_be_padded_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture("JPEG") + bytes(16))
    assert problem_of(tmp_path / "a.jpg") is None


def test_an_error_page_under_the_name_of_an_archive_is_no_archive(tmp_path: Path) -> None:
    for name in ("a.zip", "a.csv.gz", "a.png"):
        (tmp_path / name).write_text("<html>403 Forbidden</html>")
        assert problem_of(tmp_path / name) == "truncated"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    assert problem_of(tmp_path / "a.csv") == "missing"


def test_each_bad_file_is_named_with_its_address(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "other.csv").write_text("other")
    (tmp_path / "good.csv").write_text("good")
    names = ("absent.csv", "empty.csv", "other.csv", "good.csv")
    digests = {name: hashlib.sha256(b"good").hexdigest() for name in names}

    found = list(missing_files(tmp_path, {name: f"https://x/{name}" for name in names}, digests))

    assert found == [
        Missing("absent.csv", "missing", "https://x/absent.csv"),
        Missing("empty.csv", "empty", "https://x/empty.csv"),
        Missing("other.csv", "altered", "https://x/other.csv"),
    ]


def test_published_digests_are_read_in_both_forms_of_sha256sum(tmp_path: Path) -> None:
    listing = tmp_path / "SHA256SUMS.txt"
    listing.write_text("AB12 files/a b.csv\ncd34 *c.zip\n\n")
    assert published_digests(listing) == {"files/a b.csv": "ab12", "c.zip": "cd34"}
    assert published_digests(tmp_path / "none") == {}
