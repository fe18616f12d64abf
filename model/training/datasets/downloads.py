"""Looks at downloaded files: which are missing, empty, cut short or not what was published."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from model.errors import DatasetError
from model.training.datasets.dataset_reader import Missing

_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
CHUNK = 1 << 20


def missing_files(
    source: Path, addresses: Mapping[str, str], digests: Mapping[str, str] | None = None
) -> Iterator[Missing]:
    """Name each file that is not there or not whole.

    Args:
        addresses: where to download each file, by its path relative to `source`.
        digests: published SHA-256 by path, for the files that are worth reading whole.
    """
    for path, address in addresses.items():
        problem = problem_of(source / path)
        if problem is None and digests and path in digests and _sha256(source / path) != digests[path]:
            problem = "altered"
        if problem is not None:
            yield Missing(path, problem, address)


def problem_of(path: Path) -> str | None:
    """`missing`, `empty`, `truncated`, or None: judged by what the file's format ends with."""
    if not path.is_file():
        return "missing"
    if path.stat().st_size == 0:
        return "empty"
    whole = _ENDINGS.get(path.suffix.lower(), lambda _: True)
    return None if whole(path) else "truncated"


def opened_archive(path: Path) -> zipfile.ZipFile:
    """Open a ZIP archive.

    Raises:
        DatasetError: it is cut short, or something else.
    """
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as exc:
        raise DatasetError(f"{path.name} is cut short or no archive") from exc


def published_digests(listing: Path) -> dict[str, str]:
    """Read a `SHA256SUMS.txt` as PhysioNet publishes it; empty where there is none."""
    if not listing.is_file():
        return {}
    rows = (line.split(maxsplit=1) for line in listing.read_text(encoding="utf-8").splitlines())
    return {row[1].strip().lstrip("*"): row[0].lower() for row in rows if len(row) == 2}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ends_with(mark: bytes, slack: int) -> Callable[[Path], bool]:
    """Some writers pad their files, so the mark may stand a little before the end."""

    def check(path: Path) -> bool:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - slack, 0))
            return mark in file.read()

    return check


def _is_whole_gzip(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            while file.read(CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True


_ENDINGS: Mapping[str, Callable[[Path], bool]] = {
    ".jpg": _ends_with(_JPEG_END, 64),
    ".jpeg": _ends_with(_JPEG_END, 64),
    ".png": _ends_with(_PNG_END, 64),
    ".gz": _is_whole_gzip,
    ".zip": zipfile.is_zipfile,
}
