"""The narrative as a report of its own (Enhanced SR, PS3.16 TID 2000), for those who read only words."""

from collections.abc import Iterator

from highdicom.sr import ContentItem, EnhancedSR, ObservationContext
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from structured_reports import codes, wording
from structured_reports.finishing import UNFINISHED, finished, run_key, series_place
from structured_reports.provenance import contributing_equipment, equipment, model_version, statements
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.writers import content
from structured_reports.writers.comparison import prior_headers
from structured_reports.writers.key_frames import key_frames
from structured_reports.writers.observation import algorithm, device_observer, language
from structured_reports.writers.requests import referenced_requests, reported_procedures
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9002
REPORT = Code("18748-4", "LN", "Diagnostic Imaging Report")
FINDINGS = Code("59776-5", "LN", "Findings")
PREVIOUS_FINDINGS = Code("18834-2", "LN", "Previous Findings")
IMPRESSIONS = Code("19005-8", "LN", "Impressions")
SUMMARY = Code("55112-7", "LN", "Summary")
"""Section headings of CID 7001."""


def write_narrative(draft: Draft) -> tuple[Dataset, ...]:
    """Write findings and impression in words; none where the reading has no words."""
    reading, run = draft.reading, draft.run
    words = reading.narrative
    if words is None or not wording.clean_text(words.findings + words.impression):
        return ()
    source = draft.sources.current[0]
    place = series_place(
        "narrative",
        SERIES_NUMBER,
        wording.series_description("narrative", reading.modality, run.revision),
        key=run_key(source.StudyInstanceUID, reading.model, run),
    )
    first, *others = draft.current
    priors = [h for comparison in reading.comparisons for h in prior_headers(draft, comparison.prior)]
    result = EnhancedSR(
        evidence=[stand_in(first), *others, *{str(h.SOPInstanceUID): h for h in priors}.values()],
        content=_root(draft),
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        requested_procedures=referenced_requests(first),
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    restore_source(result, first)
    return (finished(result, source, run, place),)


def _root(draft: Draft) -> ContentItem:
    procedures = (
        content.code(dictionary.DCM.ProcedureReported, procedure, content.MODIFIES)
        for procedure in reported_procedures(draft.current[0])
    )
    children: list[ContentItem] = [
        *language(draft.run.language),
        *ObservationContext(observer_device_context=device_observer(draft.run)),
        *procedures,
        *_sections(draft),
        # After the words: a page of words shows its beginning.
        *algorithm(draft),
    ]
    return content.container(REPORT, children, template_id="2000", relation=None)


def _sections(draft: Draft) -> Iterator[ContentItem]:
    """What this is comes first."""
    model, words = draft.reading.model, draft.reading.narrative
    marks = [*statements(model), f"{model.name} {model_version(model)}"]
    yield content.container(SUMMARY, [content.text(codes.COMMENT, mark) for mark in marks])
    if words is not None and wording.clean_text(words.findings):
        best = [
            content.image(
                dictionary.DCM.BestIllustrationOfFinding, draft.header_of(frame), frame.frame_number
            )
            for frame in key_frames(draft.reading)
        ]
        yield content.container(FINDINGS, [content.text(codes.FINDING, words.findings), *best])
    compared = [
        wording.compared_with(draft.sources.priors[c.prior].study_date, c.text)
        for c in draft.reading.comparisons
    ]
    if compared:
        previous = dictionary.DCM.PreviousFinding
        yield content.container(PREVIOUS_FINDINGS, [content.text(previous, words) for words in compared])
    if words is not None and wording.clean_text(words.impression):
        yield content.container(IMPRESSIONS, [content.text(codes.IMPRESSION, words.impression)])
    caveats = [text for text in dict.fromkeys(draft.reading.caveats) if wording.clean_text(text)]
    if caveats:
        yield content.container(
            codes.QUALITATIVE_EVALUATIONS, [content.text(codes.COMMENT, c) for c in caveats]
        )
