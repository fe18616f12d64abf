"""A whole export: study after study into one folder, resumable, with a summary at the end."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dicom_node.errors import NodeError
from model.errors import ModelError
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import HEADER, replace_file
from model.training.datasets.record import Record
from model.training.datasets.shards import write_prepared
from worker.archive_export.sources import ArchiveSource, Choice
from worker.archive_export.study_export import DATASET, StudyExporter, StudyResult
from worker.errors import WorkerError

LEDGER = "studies"
"""Folder with one file for each study that is done; an interrupted export goes on behind them."""

CARD = DatasetCard(
    name=DATASET,
    version="1",
    licence="none: data of the exporting institution, de-identified; its rules apply",
    licence_address="",
    address="",
    citation="",
    split_rule="By patient, drawn by the key: eight of ten train, one validates, one tests.",
    layout="DICOM files below dicom/, by patient, study and series under pseudonyms.",
    preprocessing=(
        "De-identified after PS3.15 Annex E: Basic Profile; Clean Structured Content; Retain Longitudinal "
        "Temporal Information, Modified Dates; Retain Patient Characteristics.",
        "Sentences of reports that could not be judged safe are left out; ___ stands for what identified.",
        "Images that may show text are left out.",
    ),
)

Progress = Callable[[int, int], None]
"""Told how many studies are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export has made and what it left out; nothing in it names a patient."""

    studies: int
    records: dict[str, int]
    """By split."""
    examples: dict[str, int]
    """By what can be learned from them."""
    left_out: dict[str, int]
    """Objects, segments and sentences by reason."""
    studies_left_out: dict[str, str]
    """Pseudonyms of studies without a record, and the most frequent reason."""


def run_export(source: ArchiveSource, choice: Choice, exporter: StudyExporter, progress: Progress) -> Summary:
    """Export what is chosen; studies that an earlier run has done are not done again.

    Raises:
        NodeError: the source cannot say which studies it has.
        DatasetError: the output folder cannot be written.
    """
    uids = source.studies(choice)
    (exporter.out / LEDGER).mkdir(parents=True, exist_ok=True)
    # Shards are made anew from the ledger: more studies may have come.
    (exporter.out / HEADER).unlink(missing_ok=True)
    for done, uid in enumerate(uids):
        progress(done, len(uids))
        page = exporter.out / LEDGER / f"{exporter.pseudonyms.name(uid)}.json"
        if not page.exists():
            replace_file(page, _page(_exported(source, uid, exporter)))
    progress(len(uids), len(uids))
    return _summed_up(exporter.out)


def _exported(source: ArchiveSource, uid: str, exporter: StudyExporter) -> StudyResult:
    """Export one study; what fails costs that study only."""
    try:
        return exporter.export(uid, source.read(uid))
    except (NodeError, ModelError, WorkerError) as exc:
        return StudyResult(None, left_out=Counter({str(exc): 1}))


def _page(result: StudyResult) -> bytes:
    page = {
        "record": result.record.to_json() if result.record is not None else None,
        "study_date": result.study_date,
        "left_out": dict(result.left_out),
    }
    return json.dumps(page, indent=1).encode()


def _read_page(path: Path) -> StudyResult:
    page = json.loads(path.read_bytes())
    record = Record.from_json(page["record"]) if page["record"] is not None else None
    return StudyResult(record, page["study_date"], Counter(page["left_out"]))


def _summed_up(out: Path) -> Summary:
    results = {path.stem: _read_page(path) for path in sorted((out / LEDGER).glob("*.json"))}
    records = with_priors([result for result in results.values() if result.record is not None])
    cases = [Case(record.record_id, lambda record=record: record) for record in records]
    header = write_prepared(CARD, cases, out, source=out)
    left_out: Counter[str] = Counter()
    for result in results.values():
        left_out.update(result.left_out)
    summary = Summary(
        studies=len(results),
        records=header.records,
        examples=_examples(records),
        left_out=dict(left_out.most_common()),
        studies_left_out={
            name: result.left_out.most_common(1)[0][0] if result.left_out else "nothing could be read"
            for name, result in results.items()
            if result.record is None
        },
    )
    replace_file(out / "summary.json", json.dumps(_fields(summary), indent=1).encode() + b"\n")
    return summary


def _fields(summary: Summary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in Summary.__dataclass_fields__}


def with_priors(results: Sequence[StudyResult]) -> list[Record]:
    """Give every record the images of the patient's latest earlier study of its modality."""
    records: list[Record] = []
    newest: dict[tuple[str, str], Record] = {}
    for result in sorted(results, key=lambda result: (result.study_date, _named(result))):
        record = result.record
        if record is None:
            continue
        key = (record.subject, record.modality)
        prior = newest.get(key)
        newest[key] = record
        records.append(replace(record, priors=prior.images) if prior is not None else record)
    return records


def _named(result: StudyResult) -> str:
    return result.record.record_id if result.record is not None else ""


def _examples(records: Sequence[Record]) -> dict[str, int]:
    """Count records by what they teach."""
    return {
        "report": sum(bool(record.findings or record.impression) for record in records),
        "classification": sum(bool(record.labels or record.diagnosis) for record in records),
        "detection": sum(bool(record.boxes) for record in records),
        "segmentation": sum(bool(record.masks) for record in records),
        "comparison": sum(bool(record.priors and record.findings) for record in records),
    }
