"""Turns one study into one record of training data and the de-identified files that it names."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.elements import text
from model.imaging.selection import Selection, select_images
from model.training.datasets.record import Record
from structured_reports.provenance import is_own_result
from worker.archive_export.ages import age_years
from worker.archive_export.burned_in import shows_text, why_flagged
from worker.archive_export.corrections import referenced_instances
from worker.archive_export.deidentifier import Deidentifier
from worker.archive_export.disclosure import SeatBelt, seat_belt
from worker.archive_export.elements import tolerant
from worker.archive_export.facts import Facts, Shown, facts_of
from worker.archive_export.files import encoded, write_instance
from worker.archive_export.identifiers import identifiers_of
from worker.archive_export.pixel_data import native_pixels
from worker.archive_export.pseudonyms import Patient, Pseudonyms
from worker.archive_export.report_text import TextCleaner
from worker.archive_export.sources import ReadStudy
from worker.errors import DisclosureError

DATASET = "archive"
OWN = "our own result, which teaches nothing"


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What became of one study; nothing in it names a patient."""

    record: Record | None
    study_date: str = ""
    """Shifted, so that studies of a patient can be put in order."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Objects, groups, segments and sentences, by the reason why."""


@dataclass(frozen=True, slots=True)
class StudyExporter:
    """Exports studies into one folder under one key."""

    out: Path
    pseudonyms: Pseudonyms
    words: frozenset[str]

    def export(self, study_instance_uid: str, study: ReadStudy) -> StudyResult:
        """Write the files of a study and return its record, or why there is none."""
        with tolerant():
            return _Study(self, study_instance_uid, study).exported()


class _Study:
    """One study on its way out."""

    def __init__(self, tools: StudyExporter, uid: str, study: ReadStudy) -> None:
        own = [ds for ds in study.datasets if is_own_result(ds)]
        self._datasets = [ds for ds in study.datasets if not is_own_result(ds)]
        self._left_out = Counter(study.faults)
        self._leave_out(OWN, len(own))
        self._known = {text(ds, "SOPInstanceUID") for ds in study.datasets}
        self._tools = tools
        self._name = tools.pseudonyms.name(uid)
        self._patient = _patient(self._datasets, uid)
        identifiers = identifiers_of(study.datasets, tools.words)
        self._belt: SeatBelt = seat_belt(study.datasets, identifiers, tools.words)
        self._texts = TextCleaner(identifiers, tools.words)
        self._cleaner = Deidentifier(tools.pseudonyms, self._patient, self._texts)

    def exported(self) -> StudyResult:
        selection = select_images(self._datasets, every_view=True)
        self._left_out.update(fault.reason for fault in selection.faulty)
        self._left_out.update(left.reason for left in selection.left_out if left.reason != "not an image")
        shown = self._written_images(selection)
        if not shown or selection.modality is None:
            self._leave_out("no image of the study can be exported")
            return StudyResult(None, left_out=self._left_out)
        documents = self._documents(shown)
        for document in documents:
            self._write(document)
        facts = facts_of(documents, shown, self._texts, self._tools.out, self._folder())
        self._left_out.update(facts.left_out)
        return self._result(selection, shown, facts)

    def _result(self, selection: Selection, shown: Sequence[Shown], facts: Facts) -> StudyResult:
        assert selection.modality is not None  # noqa: S101 - checked by the caller
        names = self._tools.pseudonyms
        header = self._cleaner.clean(shown[0].sources[0])
        record = Record(
            dataset=DATASET,
            record_id=self._name,
            subject=names.subject(self._patient),
            study=self._name,
            split=names.split(self._patient),
            modality=selection.modality,
            images=tuple(one.named for one in shown),
            age=age_years(text(header, "PatientAge")),
            sex=text(header, "PatientSex") or None,
            indication=facts.report.indication,
            comparison=facts.report.comparison,
            findings=facts.report.findings,
            impression=facts.report.impression,
            labels=facts.labels,
            boxes=facts.boxes,
            masks=facts.masks,
            diagnosis=facts.diagnosis,
        )
        self._belt.check(record.to_json().encode())
        return StudyResult(record, text(header, "StudyDate"), self._left_out)

    def _written_images(self, selection: Selection) -> list[Shown]:
        """Write the instances of every selected image that nothing speaks against."""
        by_uid = {text(ds, "SOPInstanceUID"): ds for ds in self._datasets}
        shown: list[Shown] = []
        for image in selection.images:
            one = Shown.of(image, by_uid)
            reasons = [reason for ds in one.sources if (reason := why_flagged(ds)) is not None]
            if not reasons and shows_text(image):
                reasons = ["the pixels seem to show text"]
            if reasons:
                # A volume without one of its slices is another volume.
                self._leave_out(reasons[0], len(one.sources))
                continue
            paths = [self._write(ds) for ds in one.sources]
            if all(paths):
                shown.append(one.at(self._tools.out, [path for path in paths if path is not None]))
        return shown

    def _documents(self, shown: Sequence[Shown]) -> list[Dataset]:
        """Choose the reports and segmentations of people, oldest first, that speak of what is shown."""
        exported = {text(ds, "SOPInstanceUID") for one in shown for ds in one.sources}
        chosen: list[Dataset] = []
        for ds in self._datasets:
            if text(ds, "Modality") not in ("SR", "SEG"):
                continue
            references = referenced_instances(ds)
            known = exported if text(ds, "Modality") == "SEG" else self._known
            if references and references.isdisjoint(known):
                self._leave_out("a document about images that are not exported")
            else:
                chosen.append(ds)
        return sorted(chosen, key=lambda ds: (text(ds, "ContentDate"), text(ds, "ContentTime")))

    def _write(self, ds: Dataset) -> Path | None:
        """Write one instance without identity; None, with the reason counted, where that cannot be."""
        try:
            cleaned = self._cleaner.clean(ds)
            self._belt.check(encoded(cleaned))
            if "PixelData" in ds:
                cleaned.update(native_pixels(ds))
            path = self._tools.out / self._folder() / self._file_name(ds)
            write_instance(cleaned, path)
        except (PixelError, DisclosureError) as exc:
            self._leave_out(str(exc))
            return None
        return path

    def _folder(self) -> Path:
        subject = self._tools.pseudonyms.subject(self._patient)
        return Path("dicom") / subject / self._name

    def _file_name(self, ds: Dataset) -> Path:
        name = self._tools.pseudonyms.name
        return Path(name(text(ds, "SeriesInstanceUID"))) / f"{name(text(ds, 'SOPInstanceUID'))}.dcm"

    def _leave_out(self, reason: str, count: int = 1) -> None:
        if count:
            self._left_out[reason] += count


def _patient(datasets: Sequence[Dataset], study_instance_uid: str) -> Patient:
    for ds in datasets:
        if text(ds, "PatientID"):
            return Patient(f"{text(ds, 'IssuerOfPatientID')}\\{text(ds, 'PatientID')}")
    return Patient(study_instance_uid)
