"""Logging set-up: one JSON object or one plain line per record, without what could identify a patient."""

import json
import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

IDENTIFYING: Final = frozenset(
    (
        "patient",
        "patient_name",
        "patient_id",
        "patient_key",
        "patient_birth_date",
        "birth_date",
        "patient_sex",
        "issuer_of_patient_id",
        "accession_number",
        "referring_physician",
        "indication",
        "report",
        "report_text",
        "text",
        "narrative",
        "findings",
        "impression",
        "dataset",
        "ds",
        "header",
        "study_description",
        "series_description",
    )
)
"""Keys of `extra` that are dropped wherever they turn up."""

QUOTING: Final = {
    "pydicom": logging.ERROR,
    "pynetdicom": logging.WARNING,
    "pynetdicom.utils": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "kombu": logging.WARNING,
    "amqp": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
}
"""Libraries that quote values of data sets, or messages, in what they log below these levels."""

_ESCAPED: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""Control characters and ends of lines, which could make one record look like several."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send all logs to standard error; called once, by a composition root."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(drop_identity)
    handler.addFilter(drop_quotes)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    least = logging.getLevelNamesMapping()[level.upper()]
    for name, floor in QUOTING.items():
        logging.getLogger(name).setLevel(max(floor, least))
    warnings.filterwarnings("ignore", module="pydicom")


def drop_identity(record: logging.LogRecord) -> bool:
    """Remove identifying extras from a record; the record itself stays."""
    for key in IDENTIFYING & vars(record).keys():
        delattr(record, key)
    return True


def drop_quotes(record: logging.LogRecord) -> bool:
    """Leave kind and place of an error of pynetdicom: its text quotes what a peer has sent."""
    if record.exc_info and record.exc_info[0] is not None and record.name.startswith("pynetdicom"):
        kind, _, trace = record.exc_info
        place = traceback.extract_tb(trace)[-1:]
        where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in place)
        record.msg, record.args, record.exc_info = f"{kind.__name__}{where}", (), None
    return True


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class PlainFormatter(logging.Formatter):
    """`2026-01-31T12:00:00Z INFO dicom_node.scp listening port=11112`."""

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        line = f"{_time(record)} {record.levelname} {record.name} {record.getMessage()}{extras}"
        line = line.translate(_ESCAPED)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
