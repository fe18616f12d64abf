"""Chest ImaGenome (Wu 2021): scene graphs of frontal images of MIMIC-CXR-JPG."""

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.downloads import opened_archive
from model.training.datasets.mimic_images import SPLIT_RULE, MimicImages, missing_tables
from model.training.datasets.physionet import CHEST_IMAGENOME, LICENCE
from model.training.datasets.record import Record, RecordImage
from model.training.datasets.scene_graphs import (
    SceneGraph,
    boxes_of,
    change_of,
    labels_of,
    prior_of,
    read_graph,
)
from model.training.datasets.tables import Table

GRAPHS = "silver_dataset/scene_graph.zip"
AVOIDED = "silver_dataset/splits/images_to_avoid.csv"
_SUFFIX = "_SceneGraph.json"
_SEXES = {"F": "F", "M": "M"}


class Graphs:
    """Reads scene graphs out of the published archive, or beside it where it was unpacked."""

    def __init__(self, source: Path) -> None:
        """List the graphs.

        Raises:
            DatasetError: neither the archive nor its folder is there, or the archive is cut short.
        """
        archive = source / CHEST_IMAGENOME.folder(source) / GRAPHS
        self._folder = archive.with_suffix("")
        if archive.is_file():
            self._archive = opened_archive(archive)
            names: Iterable[str] = self._archive.namelist()
        elif self._folder.is_dir():
            self._archive = None
            names = (path.relative_to(self._folder).as_posix() for path in self._folder.rglob(f"*{_SUFFIX}"))
        else:
            raise DatasetError(f"{GRAPHS} is missing")
        self.names = {
            name.rsplit("/", 1)[-1].removesuffix(_SUFFIX): name
            for name in sorted(names)
            if name.endswith(_SUFFIX) and not name.startswith("__MACOSX")
        }

    def graph(self, dicom_id: str) -> SceneGraph:
        """Read the graph of an image.

        Raises:
            RowError: it is damaged or not in its layout.
        """
        name = self.names[dicom_id]
        try:
            return read_graph(
                self._archive.read(name) if self._archive else (self._folder / name).read_bytes()
            )
        except (zipfile.BadZipFile, zlib.error, EOFError):
            raise RowError("the scene graph is damaged") from None


def _record(images: MimicImages, graphs: Graphs, avoided: frozenset[str], dicom_id: str) -> Record:
    image = images.image(dicom_id)
    split = images.split(image.study)
    if dicom_id in avoided and split != "test":
        raise RowError("its patient belongs to the gold standard, which is kept out of training")
    if image.size is None:
        raise RowError("MIMIC-CXR-JPG does not name its size")
    graph = graphs.graph(dicom_id)
    prior, change = _prior(images, graph)
    return Record(
        dataset="chest-imagenome",
        record_id=dicom_id,
        subject=f"p{image.subject}",
        study=f"s{image.study}",
        split=split,
        modality=Modality.CXR,
        images=(images.record_image(image),),
        priors=(prior,) if prior else (),
        age=graph.age,
        sex=_SEXES.get(graph.gender or ""),
        indication=" ".join((graph.reason_for_exam or "").split()) or None,
        labels=labels_of(graph),
        boxes=boxes_of(graph, image.size),
        change=change,
    )


def _prior(images: MimicImages, graph: SceneGraph) -> tuple[RecordImage | None, str | None]:
    """The earlier image and what changed since; neither where the image or a clear statement is missing."""
    dicom_id = prior_of(graph)
    change = change_of(graph, dicom_id) if dicom_id else None
    if not (dicom_id and change):
        return None, None
    try:
        return images.record_image(images.image(dicom_id)), change
    except RowError:
        return None, None


def check(source: Path) -> list[Missing]:
    """Name every table, archive and image that is missing or cut short."""
    unpacked = (source / CHEST_IMAGENOME.folder(source) / GRAPHS).with_suffix("").is_dir()
    files = (AVOIDED,) if unpacked else (GRAPHS, AVOIDED)
    found = list(CHEST_IMAGENOME.missing(source, files)) + missing_tables(source)
    if found:
        return found
    images, graphs = MimicImages(source), Graphs(source)
    return list(images.missing(images.by_id[name] for name in graphs.names if name in images.by_id))


def cases(source: Path) -> Sequence[Case]:
    """List one record for each scene graph."""
    images, graphs = MimicImages(source), Graphs(source)
    table = Table(source / CHEST_IMAGENOME.folder(source) / AVOIDED, ("dicom_id",))
    avoided = frozenset(row["dicom_id"] for row in table)
    return [Case(dicom_id, partial(_record, images, graphs, avoided, dicom_id)) for dicom_id in graphs.names]


CHEST_IMAGENOME_READER = DatasetReader(
    DatasetCard(
        name="Chest ImaGenome",
        version="1.0.0",
        licence=LICENCE,
        licence_address=CHEST_IMAGENOME.licence_page,
        address=CHEST_IMAGENOME.page,
        citation="Wu, Agu, Lourentzou et al.: Chest ImaGenome dataset for clinical reasoning. "
        "NeurIPS Datasets and Benchmarks (2021).",
        split_rule=f"{SPLIT_RULE}; images of the gold standard's patients (images_to_avoid.csv) are left "
        "out of train and validate",
        layout="chest-imagenome/1.0.0/silver_dataset/ and mimic-cxr-jpg/2.1.0/ side by side",
        preprocessing=(
            "Boxes are those on the original image, as fractions of it; what reaches out of it is cut off, "
            "and what is empty then is left out.",
            "A finding has the box of each structure of which it is said; a structure's caption is what "
            "the report says of it.",
            "A label is present if it is said of any structure, absent if it is only denied.",
            "Change is told from comparisons with one direction and a finding, against the earlier image to "
            "which most of them refer.",
            "Age is the middle of the published ten years.",
        ),
    ),
    check,
    cases,
)
