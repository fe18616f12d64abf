"""The last touch on every object: dates of the run, stable identifiers, the patient's identity, file meta."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import BytesIO

from pydicom import config, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from model.reading import ModelIdentity
from structured_reports.headers import literal_identity, timezone_of
from structured_reports.identity import uid_from
from structured_reports.provenance import (
    CONTENT_QUALIFICATION,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    MANUFACTURER,
)
from structured_reports.sources import Run

UNFINISHED = uid_from("unfinished")
"""SOP Instance UID while an object is being built; never leaves this package."""

_DATES = (
    *("InstanceCreationDate", "ContentDate", "SeriesDate", "PresentationCreationDate"),
    *("AcquisitionDate", "DateOfSecondaryCapture"),
)
_TIMES = tuple(name.replace("Date", "Time") for name in _DATES)
_OWN_EQUIPMENT = {MANUFACTURER, "Highdicom open-source contributors"}


@dataclass(frozen=True, slots=True)
class SeriesPlace:
    """Where an object is filed: its series within the source's study."""

    number: int
    description: str
    uid: UID


def series_place(kind: str, number: int, description: str, *, key: tuple[str, ...]) -> SeriesPlace:
    """Place a series; `key` holds what tells it from every other: study, source series, run, model."""
    return SeriesPlace(number, description[:64], uid_from("series", kind, *key))


def run_key(study_instance_uid: str, model: ModelIdentity, run: Run) -> tuple[str, ...]:
    """Name one run of one model on one study revision."""
    return (
        study_instance_uid,
        model.family,
        model.name,
        model.version,
        model.weights_sha256,
        run.software_version,
        str(run.revision),
        run.started_at.isoformat(),
    )


def finished(result: Dataset, source: Dataset, run: Run, place: SeriesPlace) -> Dataset:
    """Turn a built object into one that may be written: equal input gives equal bytes.

    The SOP Instance UID is made last, from the bytes of everything else, so that changed content can never
    travel under a used UID: archives keep the first object they saw and report success for the second.
    """
    moment = run.started_at.astimezone(timezone_of(source) or run.started_at.tzinfo)
    _date(result, moment)
    result.SeriesDescription = place.description
    result.ContentQualification = CONTENT_QUALIFICATION
    if timezone_of(source) is not None:
        result.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    if source.get("LongitudinalTemporalInformationModified"):
        result.LongitudinalTemporalInformationModified = source.LongitudinalTemporalInformationModified
    _pin_dimension_organization(result, place)
    for element in literal_identity(source).values():
        result[element.tag] = element
    result.SOPInstanceUID = UNFINISHED
    result.file_meta = _file_meta(result)
    result.SOPInstanceUID = uid_from("instance", str(place.uid), _digest(result))
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    return result


def _date(result: Dataset, moment: datetime) -> None:
    for keyword in _DATES:
        if keyword in result or keyword == "SeriesDate":
            setattr(result, keyword, moment.strftime("%Y%m%d"))
    for keyword in _TIMES:
        if keyword in result or keyword == "SeriesTime":
            setattr(result, keyword, moment.strftime("%H%M%S"))
    # Without its offset, which Timezone Offset From UTC may give: DCMTK's checker knows no other form.
    stamp = moment.strftime("%Y%m%d%H%M%S")
    for item in result.get("ContributingEquipmentSequence", ()):
        if item.get("Manufacturer") in _OWN_EQUIPMENT:
            item.ContributionDateTime = stamp


def _pin_dimension_organization(result: Dataset, place: SeriesPlace) -> None:
    """Replace the random Dimension Organization UID that a segmentation is born with."""
    organization = uid_from("dimension organization", str(place.uid))
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in result.get(keyword, DicomSequence()):
            if "DimensionOrganizationUID" in item:
                item.DimensionOrganizationUID = organization


def _file_meta(result: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _digest(result: Dataset) -> str:
    with BytesIO() as buffer, config.disable_value_validation():
        dcmwrite(buffer, result, enforce_file_format=True)
        return sha256(buffer.getvalue()).hexdigest()
