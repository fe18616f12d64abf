"""IU X-ray, the Open-i collection (Demner-Fushman 2016): chest radiographs of two views with their report."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.published_files import first_existing, missing, require
from model.training.datasets.record import Record, RecordImage
from model.training.datasets.tables import Table

_ADDRESS = "https://openi.nlm.nih.gov/faq"
_KAGGLE = "https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university"

_REPORTS, _PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
_XML = ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology", "NLMCXR_reports")
_PICTURES = ("NLMCXR_png", "images", "")
_NORMALIZED = ("images/images_normalized", "images_normalized", "images")

_VIEWS: Mapping[str, str] = {"Frontal": "FRONTAL", "Lateral": "LATERAL"}
_SECTIONS = ("indication", "comparison", "findings", "impression")
_ENTITY = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Study:
    """One report with its pictures, whichever layout it came in."""

    name: str
    sections: Mapping[str, str | None]
    images: tuple[RecordImage, ...]


def _is_kaggle(source: Path) -> bool:
    return (source / _REPORTS).exists()


def _plain(text: str | None) -> str | None:
    """Join lines; a section without a word is none."""
    joined = " ".join((text or "").split())
    return joined if any(character.isalpha() for character in joined) else None


def _from_csv(source: Path) -> Iterator[_Study]:
    folder = first_existing(source, _NORMALIZED)
    images: dict[str, list[RecordImage]] = {}
    for row in Table(source / _PROJECTIONS, ("uid", "filename", "projection")):
        view = _VIEWS.get(row["projection"])
        images.setdefault(row["uid"], []).append(RecordImage(f"{folder}/{row['filename']}", view))
    for row in Table(source / _REPORTS, ("uid", "findings", "impression")):
        sections = {name: _plain(row[name]) for name in _SECTIONS}
        shown = sorted(images.get(row["uid"], ()), key=lambda image: image.view != "FRONTAL")
        yield _Study(row["uid"], sections, tuple(shown))


def _xml_files(source: Path) -> list[Path]:
    folder = source / first_existing(source, _XML)
    return sorted(folder.glob("*.xml"), key=lambda path: (len(path.stem), path.stem))


def _from_xml(source: Path, path: Path) -> _Study:
    """Read one report of the Open-i archive; which picture is lateral it does not say.

    Raises:
        RowError: the file is no report.
    """
    content = path.read_bytes()
    if _ENTITY.search(content):
        raise RowError("a report declares entities")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - without entities nothing can grow or lead outside
    except ElementTree.ParseError:
        raise RowError("a report is no XML") from None
    texts = {
        (part.get("Label") or "").lower(): "".join(part.itertext()) for part in root.iter("AbstractText")
    }
    folder = first_existing(source, _PICTURES)
    names = [image.get("id") for image in root.iter("parentImage")]
    images = tuple(RecordImage(f"{folder}/{name}.png".lstrip("/")) for name in names if name)
    return _Study(path.stem, {name: _plain(texts.get(name)) for name in _SECTIONS}, images)


def _check_whole(study: _Study) -> None:
    """Keep what the paper keeps: both sections, and a frontal and a lateral picture.

    Raises:
        RowError: one of them is not there.
    """
    if not (study.sections["findings"] and study.sections["impression"]):
        raise RowError("findings or impression are empty")
    views = {image.view for image in study.images}
    if len(study.images) < 2 or (views != {None} and not {"FRONTAL", "LATERAL"} <= views):
        raise RowError("not both a frontal and a lateral picture")


def _record(source: Path, study: _Study) -> Record:
    _check_whole(study)
    for image in study.images:
        require(source, image.path)
    return Record(
        dataset="iu-xray",
        record_id=study.name,
        subject=study.name,
        study=study.name,
        split="test",
        modality=Modality.CXR,
        images=study.images,
        indication=study.sections["indication"],
        comparison=study.sections["comparison"],
        findings=study.sections["findings"],
        impression=study.sections["impression"],
    )


def check(source: Path) -> list[Missing]:
    """Name the tables or reports that are missing, and every picture that they name."""
    if _is_kaggle(source):
        found = [one for path in (_REPORTS, _PROJECTIONS) for one in missing(source, path, _KAGGLE)]
        studies = () if found else _from_csv(source)
        address = _KAGGLE
    else:
        files = _xml_files(source)
        found = [] if files else [Missing(f"{_XML[0]}/*.xml", "missing", _ADDRESS)]
        studies, address = _readable(source, files), _ADDRESS
    paths = [image.path for study in studies for image in study.images]
    return found + [one for path in paths for one in missing(source, path, address)]


def _readable(source: Path, files: Sequence[Path]) -> Iterator[_Study]:
    for path in files:
        try:
            yield _from_xml(source, path)
        except RowError:
            continue


def cases(source: Path) -> Sequence[Case]:
    """List one record for each report.

    Raises:
        DatasetError: there is no report.
    """
    if _is_kaggle(source):
        return [Case(study.name, partial(_record, source, study)) for study in _from_csv(source)]
    files = _xml_files(source)
    if not files:
        raise DatasetError(f"neither {_REPORTS} nor {_XML[0]}/*.xml is there")
    return [Case(path.stem, partial(_record_of_xml, source, path)) for path in files]


def _record_of_xml(source: Path, path: Path) -> Record:
    return _record(source, _from_xml(source, path))


_CARD = DatasetCard(
    name="IU X-ray",
    version="Open-i NLMCXR archives, or their tables on Kaggle (raddar, 2020)",
    licence="CC BY-NC-ND 4.0",
    licence_address="https://creativecommons.org/licenses/by-nc-nd/4.0/",
    address=_ADDRESS,
    citation="Demner-Fushman et al.: Preparing a collection of radiology examinations for distribution and "
    "retrieval. JAMIA 23, 304 (2016).",
    split_rule="none is published; all is test, as in the paper",
    layout="ecgen-radiology/*.xml and NLMCXR_png/*.png; or indiana_reports.csv, indiana_projections.csv and "
    "images/images_normalized/*.png",
    preprocessing=(
        "Studies need findings, impression, and a frontal and a lateral picture; the archive does not say "
        "which picture is which, so there two pictures do.",
        "What was removed to protect patients reads XXXX, as published.",
    ),
)

IU_XRAY_READER = DatasetReader(_CARD, check, cases)
