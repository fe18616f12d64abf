"""The report as a document with pictures (Encapsulated PDF, PS3.3 A.45.1), where nothing else is opened."""

from typing import Any

from highdicom import SOPClass
from highdicom.sr import CodedConcept
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from model.volume import FrameKey
from structured_reports import wording
from structured_reports.document_pages import Pages, Section
from structured_reports.errors import SourceError
from structured_reports.finishing import UNFINISHED, SeriesPlace, finished, run_key, series_place
from structured_reports.geometry import number_of_frames
from structured_reports.headers import empty_element
from structured_reports.overlays import overlays_on
from structured_reports.picture import draw
from structured_reports.provenance import contributing_equipment, equipment, statements
from structured_reports.writers.key_frames import key_frames
from structured_reports.writers.narrative import REPORT
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9501
MOST_PICTURES = 4
"""A document is read, not looked through."""


def write_documents(draft: Draft) -> tuple[Dataset, ...]:
    """Print what the reading says in words, what the other objects say, and pictures of it.

    Written after the report, from which its statements are taken. Who the patient is stands in the header
    only, where an archive corrects it; the pages do not repeat it.

    Raises:
        FontError: no installed font has every character of the report.
        SourceError: the pixel data of a source is not at hand or cannot be decoded.
    """
    # Loaded here: most destinations get no document.
    from structured_reports.pdf_pages import pdf_of

    first = draft.sources.current[0]
    frames = (key_frames(draft.reading) or [FrameKey(str(first.SOPInstanceUID))])[:MOST_PICTURES]
    title = f"AI report, {wording.kind_of(draft.reading.modality)} (RESEARCH)"
    pages = Pages(
        title=title,
        notices=statements(draft.reading.model),
        facts=_facts(draft),
        sections=_sections(draft),
        pictures=tuple(_picture(draft, frame, number) for number, frame in enumerate(frames, start=1)),
        language=draft.run.language,
        written_at=draft.run.started_at,
    )
    place = series_place(
        "DOC",
        SERIES_NUMBER,
        wording.series_description("document", draft.reading.modality, draft.run.revision),
        key=run_key(first.StudyInstanceUID, draft.reading.model, draft.run),
    )
    return (_encapsulated(draft, pdf_of(pages), title, place),)


def _facts(draft: Draft) -> tuple[tuple[str, str], ...]:
    model, run = draft.reading.model, draft.run
    return (
        ("Model", f"{model.name} {model.version}, family {model.family}, generation {model.generation}"),
        ("Weights", f"sha256 {model.weights_sha256}"),
        ("Software", f"medversa-node {run.software_version}"),
        ("Read", f"{run.started_at.isoformat(timespec='minutes')}, revision {run.revision} of the study"),
    )


def _sections(draft: Draft) -> tuple[Section, ...]:
    words = draft.reading.narrative
    named = [("Findings", words.findings), ("Impression", words.impression)] if words else []
    compared = [
        wording.compared_with(draft.sources.priors[each.prior].study_date, each.text)
        for each in draft.reading.comparisons
    ]
    said = {wording.clean_text(text) for text in (*(text for _, text in named), *compared)}
    told = overlays_on(draft.sources.current[0], 1, draft.written).statements
    sections = [Section(heading, (text,)) for heading, text in named if wording.clean_text(text)]
    if compared:
        sections.append(Section("Comparison", tuple(compared)))
    coded = tuple(each.text for each in told if wording.clean_text(each.text) not in said)
    sections.append(Section("In the report in codes", coded or ("Nothing was found.",)))
    return tuple(sections)


def _picture(draft: Draft, frame: FrameKey, number: int) -> tuple[str, Image.Image]:
    source = draft.source_of(frame.sop_instance_uid)
    try:
        picture = draw(source, draft.written, frame_number=frame.frame_number)
    except (AttributeError, RuntimeError, ValueError) as error:
        raise SourceError("the pixel data of a source cannot be drawn") from error
    place = f"series {source.get('SeriesNumber') or '?'}, image {source.get('InstanceNumber') or '?'}"
    if number_of_frames(source) > 1:
        place += f", frame {frame.frame_number}"
    return f"Picture {number}: {place}, with what the AI model marks", picture


def _encapsulated(draft: Draft, content: bytes, title: str, place: SeriesPlace) -> Dataset:
    reading, run = draft.reading, draft.run
    header = draft.current[0]
    result: Any = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        sop_class_uid=EncapsulatedPDFStorage,
        instance_number=1,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        content_date=run.started_at.date(),
        content_time=run.started_at.time(),
        **equipment(reading.model, run),
    )
    result.copy_patient_and_study_information(header)
    result.ContributingEquipmentSequence = [contributing_equipment(reading.model, run)]
    result.ConversionType = "WSD"
    # The pages bear no name, number or date of birth.
    result.BurnedInAnnotation = "NO"
    result.add(empty_element("AcquisitionDateTime"))
    result.DocumentTitle = title
    result.ConceptNameCodeSequence = [CodedConcept.from_code(REPORT)]
    result.VerificationFlag = "UNVERIFIED"
    result.SourceInstanceSequence = [_reference(ds) for ds in draft.current]
    result.MIMETypeOfEncapsulatedDocument = "application/pdf"
    result.EncapsulatedDocument = content + bytes(len(content) % 2)
    result.EncapsulatedDocumentLength = len(content)
    return finished(result, draft.sources.current[0], run, place)


def _reference(header: Dataset) -> Dataset:
    item: Any = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item
