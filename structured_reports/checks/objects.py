"""Rules of every object: whose it is, who made it, what it is called; and of segmentations."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from structured_reports import codes
from structured_reports.checks.bundle import Bundle
from structured_reports.headers import literal_identity

_STUDY = ("StudyDate", "StudyTime", "PatientBirthDate", "ReferringPhysicianName")
_AUTOMATIC = {"AUTOMATIC", "SEMIAUTOMATIC"}


def filed_with_its_source(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Patient and study attributes are those of the images, letter by letter."""
    source = bundle.source_of(ds)
    if source is None:
        return
    for keyword, element in literal_identity(source).items():
        if str(ds.get(keyword) or "") != str(element.value):
            yield f"{keyword} differs from the image"
    for keyword in _STUDY:
        if ds.get(keyword) and source.get(keyword) and str(ds[keyword].value) != str(source[keyword].value):
            yield f"{keyword} differs from the image"


def in_a_series_of_its_kind(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """One kind of object in a series, which says that it is of an algorithm."""
    if "AI" not in str(ds.get("SeriesDescription") or "").replace(",", " ").split():
        yield "Series Description does not say AI"
    if not ds.get("SeriesNumber"):
        yield "no Series Number"
    for other in bundle.results:
        if (
            other.get("SeriesInstanceUID") == ds.get("SeriesInstanceUID")
            and other.SOPClassUID != ds.SOPClassUID
        ):
            yield "shares its series with objects of another kind"
    if any(image.get("SeriesInstanceUID") == ds.get("SeriesInstanceUID") for image in bundle.images.values()):
        yield "shares its series with the images"


def has_its_own_identity(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    same = [other for other in bundle.results if other.get("SOPInstanceUID") == ds.get("SOPInstanceUID")]
    if len(same) > 1 and any(other != ds for other in same):
        yield "another content has the same SOP Instance UID"
    if str(ds.get("SOPInstanceUID")) in bundle.images:
        yield "has the SOP Instance UID of an image"


def says_who_made_it(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Enhanced General Equipment (PS3.3 C.7.5.2), and the algorithm as Processing Equipment."""
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
        if not ds.get(keyword):
            yield f"no {keyword}"
    purposes = {
        str(code.get("CodeValue"))
        for item in ds.get("ContributingEquipmentSequence", ())
        for code in item.get("PurposeOfReferenceCodeSequence", ())
    }
    if codes.PROCESSING_EQUIPMENT.value not in purposes:
        yield "no contributing equipment with the purpose Processing Equipment"


def keeps_secrets(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Nothing private, no free text about the patient, no operator."""
    for element in ds.iterall():
        if element.tag.is_private:
            yield "holds a private attribute"
        elif element.keyword in {"PatientComments", "OperatorsName"} and element.value:
            yield f"holds {element.keyword}"


def segments_say_what_they_are(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Numbers from 1, coded category and type, and the algorithm of what was made by one."""
    segments = ds.get("SegmentSequence", ())
    numbers = [int(segment.get("SegmentNumber") or 0) for segment in segments]
    is_label_map = ds.get("SegmentationType") == "LABELMAP"
    if not is_label_map and numbers != list(range(1, len(numbers) + 1)):
        yield "segment numbers do not count from 1"
    for segment in segments:
        for keyword in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
            if not segment.get(keyword) and not (is_label_map and segment.get("SegmentNumber") == 0):
                yield f"a segment has no {keyword}"
        if segment.get("SegmentAlgorithmType") not in _AUTOMATIC:
            yield "a segment does not say that an algorithm made it"
        families = {
            str(code.get("CodeValue"))
            for item in segment.get("SegmentationAlgorithmIdentificationSequence", ())
            for code in item.get("AlgorithmFamilyCodeSequence", ())
        }
        if codes.ARTIFICIAL_INTELLIGENCE.value not in families:
            yield "a segment does not identify its algorithm as artificial intelligence"


def segments_lie_on_their_source(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Frame of reference, size and every plane are those of a source image."""
    sources = [i for i in bundle.images.values() if i.get("StudyInstanceUID") == ds.get("StudyInstanceUID")]
    frames_of_reference = {str(i.get("FrameOfReferenceUID")) for i in sources if i.get("FrameOfReferenceUID")}
    own = str(ds.get("FrameOfReferenceUID") or "")
    if frames_of_reference and own and own not in frames_of_reference:
        yield "another frame of reference than the images"
    if (int(ds.Rows), int(ds.Columns)) not in {(int(i.Rows), int(i.Columns)) for i in sources if "Rows" in i}:
        yield "another size than the images"
    planes = {place for image in sources for place in _places(image)}
    if planes and not set(_places(ds)) <= planes:
        yield "a frame lies where no image lies"


def frames_name_their_source(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Each frame says which image it was derived from, by UID."""
    known = set(bundle.images)
    for group in ds.get("PerFrameFunctionalGroupsSequence", ()):
        named = [
            str(source.get("ReferencedSOPInstanceUID"))
            for item in group.get("DerivationImageSequence", ())
            for source in item.get("SourceImageSequence", ())
        ]
        if not named:
            yield "a frame does not say which image it comes from"
        elif known and not set(named) & known and bundle.source_of(ds) is not None:
            yield "a frame comes from an image that is not at hand"


def _places(ds: Dataset) -> Iterator[tuple[float, ...]]:
    """Positions of all frames, to a hundredth of a millimetre: decimal strings round."""
    holders = [ds]
    for group in ds.get("PerFrameFunctionalGroupsSequence", ()):
        holders += group.get("PlanePositionSequence", ())
    for holder in holders:
        if position := holder.get("ImagePositionPatient"):
            yield tuple(round(float(value), 2) for value in position)
