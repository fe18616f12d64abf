"""The last gate: what must be true of every object before it leaves, and what a validator says of a file."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from model.reading import Finding, Presence, Reading
from structured_reports import codes
from structured_reports.content_tree import code_of, groups, is_named, name_code, value_code, walk
from structured_reports.headers import IDENTITY, literal_identity
from structured_reports.provenance import CONTENT_QUALIFICATION, is_own_result, statements
from structured_reports.sources import Sources
from structured_reports.wording import clean_text, contested

VALIDATOR = "dciodvfy"
_TIMEOUT_S = 120
_QUOTED_VALUE = re.compile(r"<[^<>/]*>")
_TEXT_VRS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UT", "UC"}
_PRESENT = codes.PRESENCES[Presence.PRESENT].value
_LINE_VRS = {"ST", "LT", "UT"}
_FOREIGN_REFERENCES = {
    "PredecessorDocumentsSequence",
    "ReferencedPatientSequence",
    "ReferencedPerformedProcedureStepSequence",
    "ReferencedRequestSequence",
    "ReferencedStudySequence",
}
"""References that may lead outside of what was supplied."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validator says of one file."""

    validator: str
    """Who spoke: `dciodvfy`, or `pydicom` where that is not installed."""
    errors: tuple[str, ...]
    """Without values of attributes, which may be a patient's."""
    warnings: int = 0

    @property
    def is_valid(self) -> bool:
        return not self.errors


def publication_faults(
    datasets: Sequence[Dataset], sources: Sources, reading: Reading, *, has_report: bool = True
) -> list[str]:
    """List why these objects must not be sent; empty if they may. Sentences hold no patient data.

    Without a report in codes among them (`has_report`) it is not asked whether every finding is said.
    """
    faults: list[str] = []
    for ds in datasets:
        name = str(ds.get("Modality") or "object")
        own = [
            *_marking_faults(ds),
            *_provenance_faults(ds, reading),
            *_identity_faults(ds, sources),
            *_text_faults(ds),
            *_reference_faults(ds, datasets, sources),
            *_coordinate_faults(ds, sources),
        ]
        faults += [f"{name}: {fault}" for fault in own]
    faults += _comparison_faults(datasets, sources, reading)
    if has_report:
        faults += [*_claim_faults(datasets, reading), *_contest_faults(datasets, reading)]
    return faults


def validate_file(path: Path) -> Verdict:
    """Ask dciodvfy of one written file, or pydicom at its strictest where dciodvfy is not installed."""
    tool = shutil.which(VALIDATOR)
    if tool is None:
        return _validate_with_pydicom(path)
    try:
        run = subprocess.run(  # noqa: S603 # a fixed tool and a path of our own; no shell
            [tool, "-new", str(path)], capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Verdict(VALIDATOR, (f"no verdict within {_TIMEOUT_S} s",))
    lines = (run.stdout + run.stderr).decode("utf-8", errors="replace").splitlines()
    errors = [_QUOTED_VALUE.sub("<…>", line) for line in lines if line.startswith(("Error", "Abort"))]
    if run.returncode < 0:
        errors.append(f"{VALIDATOR} was ended by signal {-run.returncode}")
    return Verdict(VALIDATOR, tuple(errors), sum(line.startswith("Warning") for line in lines))


def _validate_with_pydicom(path: Path) -> Verdict:
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        ds = dcmread(path)
        errors = [*_marking_faults(ds), *_text_faults(ds)]
        if ds.file_meta.MediaStorageSOPInstanceUID != ds.SOPInstanceUID:
            errors.append("file meta information names another instance")
    except (ValueError, InvalidDicomError, AttributeError, EOFError) as error:
        errors = [f"cannot be read strictly: {type(error).__name__}"]
    finally:
        config.settings.reading_validation_mode = mode
    return Verdict("pydicom", tuple(errors))


def _marking_faults(ds: Dataset) -> Iterator[str]:
    """Every object says that it is AI, research and unverified."""
    if not is_own_result(ds):
        yield "is not marked as made by this software"
    if ds.get("ContentQualification") != CONTENT_QUALIFICATION:
        yield "Content Qualification is not RESEARCH"
    description = str(ds.get("SeriesDescription") or "")
    if not description.startswith("AI") or "(RESEARCH)" not in description:
        yield "Series Description does not say AI and RESEARCH"
    if ds.get("Modality") != "SR":
        return
    if ds.get("VerificationFlag") != "UNVERIFIED" or "VerifyingObserverSequence" in ds:
        yield "claims to be verified"
    if ds.get("PreliminaryFlag") != "PRELIMINARY":
        yield "is not marked preliminary"
    if any(value_code(item) == "121006" for item in walk(ds)):
        yield "names a person as observer"


def _provenance_faults(ds: Dataset, reading: Reading) -> Iterator[str]:
    """Model name, version and weights, and the software, can be read from the object alone."""
    model = reading.model
    makers = [
        item
        for item in ds.get("ContributingEquipmentSequence", ())
        for purpose in item.get("PurposeOfReferenceCodeSequence", ())
        if purpose.CodeValue == codes.PROCESSING_EQUIPMENT.value
    ]
    told = "\n".join(str(item.get("ContributionDescription") or "") for item in makers)
    if model.weights_sha256 not in told or model.name not in told:
        yield "does not name the model and its weights"
    versions = ds.get("SoftwareVersions")
    if not versions or model.version not in str(versions):
        yield "does not name the software and model version"
    if ds.get("Modality") == "SR":
        text = {str(item.get("TextValue") or "") for item in walk(ds)}
        missing = [sentence for sentence in statements(model) if sentence not in text]
        if missing:
            yield "does not say what it is: AI, research, unverified, demonstration weights"


def _identity_faults(ds: Dataset, sources: Sources) -> Iterator[str]:
    """The object is filed where the first source is, and no source is another patient's."""
    for keyword, expected in _identity(sources.current[0]).items():
        if str(ds.get(keyword) or "") != expected:
            yield f"{keyword} differs from the source"
    for source in sources.current:
        if ds.StudyInstanceUID != source.StudyInstanceUID:
            yield "belongs to another study than a source"
        if str(ds.get("PatientID") or "") != _identity(source)["PatientID"]:
            yield "belongs to another patient than a source"


def _identity(source: Dataset) -> dict[str, str]:
    literal = literal_identity(source)
    return {keyword: str(literal[keyword].value) if keyword in literal else "" for keyword in IDENTITY}


def _text_faults(ds: Dataset) -> Iterator[str]:
    for element in ds.iterall():
        if element.tag.is_private:
            yield "holds a private attribute"
        elif element.keyword in {"PatientComments", "OperatorsName"}:
            yield f"holds {element.keyword}"
        elif element.VR in _TEXT_VRS and _has_control_characters(str(element.value), element.VR):
            yield f"{element.keyword} holds control characters"


def _has_control_characters(text: str, vr: str) -> bool:
    allowed = "\r\n\f\t" if vr in _LINE_VRS else ""
    return any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text if c not in allowed)


def _reference_faults(ds: Dataset, datasets: Sequence[Dataset], sources: Sources) -> Iterator[str]:
    known = {str(other.SOPInstanceUID): other.SOPClassUID for other in (*datasets, *sources.all_instances())}
    for uid, sop_class_uid in _references(ds):
        if uid not in known:
            yield "refers to an instance that is neither a source nor a result"
        elif known[uid] != sop_class_uid:
            yield "refers to an instance under another SOP class than it has"


def _references(ds: Dataset) -> Iterator[tuple[str, str]]:
    for element in ds:
        if element.VR != "SQ" or element.keyword in _FOREIGN_REFERENCES:
            continue
        for item in element.value:
            if "ReferencedSOPInstanceUID" in item:
                yield str(item.ReferencedSOPInstanceUID), str(item.get("ReferencedSOPClassUID") or "")
            yield from _references(item)


def _coordinate_faults(ds: Dataset, sources: Sources) -> Iterator[str]:
    sizes = {str(s.SOPInstanceUID): (int(s.Columns), int(s.Rows)) for s in sources.current if "Rows" in s}
    for uid, data in _drawings(ds):
        columns, rows = sizes.get(uid, (0, 0))
        if len(data) % 2 or not all(0 <= x <= columns for x in data[0::2]):
            yield "a box leaves its image sideways"
        if not all(0 <= y <= rows for y in data[1::2]):
            yield "a box leaves its image upwards or downwards"


def _drawings(ds: Dataset) -> Iterator[tuple[str, list[float]]]:
    """Yield every drawn shape with the instance it is drawn on."""
    for item in walk(ds):
        if item.get("ValueType") == "SCOORD":
            image = item.ContentSequence[0].ReferencedSOPSequence[0]
            yield str(image.ReferencedSOPInstanceUID), [float(value) for value in item.GraphicData]
    for annotation in ds.get("GraphicAnnotationSequence", ()):
        image = annotation.ReferencedImageSequence[0]
        for shape in annotation.get("GraphicObjectSequence", ()):
            yield str(image.ReferencedSOPInstanceUID), [float(value) for value in shape.GraphicData]


def _comparison_faults(datasets: Sequence[Dataset], sources: Sources, reading: Reading) -> Iterator[str]:
    """Nothing is called new, changed or unchanged without an image to look it up in."""
    for comparison in reading.comparisons:
        if comparison.prior >= len(sources.priors) or not sources.priors[comparison.prior].instances:
            yield "a comparison names a prior that was not supplied"
    prior_uids = {str(ds.SOPInstanceUID) for prior in sources.priors for ds in prior.instances}
    for group in (each for ds in datasets for each in groups(ds)):
        names = {name_code(item): item for item in group.ContentSequence}
        if codes.CHANGED_STATUS.value not in names:
            continue
        baseline = names.get(codes.BASELINE.value)
        if baseline is None or baseline.ReferencedSOPSequence[0].ReferencedSOPInstanceUID not in prior_uids:
            yield "a change is coded without a prior image"


def _claim_faults(datasets: Sequence[Dataset], reading: Reading) -> Iterator[str]:
    """What the reading says is said, with its side; what it denies is nowhere said to be there."""
    stated = [group for ds in datasets for group in groups(ds)]
    said = {(code_of(group, codes.FINDING), _side_code(group)) for group in stated}
    for finding in reading.findings:
        concept = codes.concept_of(finding.label, codes.REGIONS[reading.modality])
        side = codes.SIDES[finding.laterality].value if finding.laterality else ""
        is_said = (concept.code.value, side) in said
        if finding.presence is not Presence.ABSENT and not is_said:
            yield "a finding is not said, or not with its side"
    denied = {codes.concept_of(f.label, codes.CHEST).code.value for f in _denied(reading)}
    for group in stated:
        if code_of(group, codes.FINDING) in denied and code_of(group, codes.PRESENCE) in {"", _PRESENT}:
            yield "a finding called absent is said to be there"
    if reading.abstention is not None and stated:
        yield "an abstention makes claims"


def _contest_faults(datasets: Sequence[Dataset], reading: Reading) -> Iterator[str]:
    """Where the model contradicts itself, the report says so."""
    said = {str(item.get("TextValue") or "") for ds in datasets for item in walk(ds)}
    for disagreement in reading.disagreements if reading.abstention is None else ():
        if clean_text(contested(disagreement)) not in said:
            yield "a contested finding is not called contested"


def _denied(reading: Reading) -> list[Finding]:
    """List absent findings that are not present elsewhere, as on the other side."""
    stated = {finding.label for finding in reading.findings if finding.presence is not Presence.ABSENT}
    return [f for f in reading.findings if f.presence is Presence.ABSENT and f.label not in stated]


def _side_code(group: Dataset) -> str:
    return next((value_code(item) for item in walk(group) if is_named(item, codes.LATERALITY)), "")
