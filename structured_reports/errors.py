"""Errors of `structured_reports`.

ReportError
├── SourceError         the sources do not hold what the reading speaks of
│   └── EvidenceError   a comparison names a prior that was not supplied
├── CoordinatesError    a box or mask does not fit the image it is said to lie on
├── CodingError         a label cannot be said in codes
├── FontError           no installed font has every character of a document
└── ConstructionError   the object could not be built on this source
"""


class ReportError(Exception):
    """A reading could not be said in DICOM; `str(error)` never holds patient data."""


class SourceError(ReportError):
    """The sources do not hold what the reading speaks of, or cannot be identified."""


class EvidenceError(SourceError):
    """A comparison names a prior that was not supplied: it must never be published."""


class CoordinatesError(ReportError):
    """A box or mask does not fit the image it is said to lie on."""


class CodingError(ReportError):
    """A label cannot be said in codes."""


class FontError(ReportError):
    """No installed font has every character of a document: empty boxes are not printed."""


class ConstructionError(ReportError):
    """The object could not be built on this source; the cause says what the library missed."""

    def __init__(self, writer: str) -> None:
        super().__init__(f"the {writer} could not be built on this source")
        self.writer = writer
