"""What stands on the pages of a document, before anybody prints it."""

from dataclasses import dataclass
from datetime import datetime

from PIL import Image


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs below it."""

    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """Everything that stands on the pages."""

    title: str
    notices: tuple[str, ...]
    """What the document is not; on every page, in short, too."""
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    pictures: tuple[tuple[str, Image.Image], ...]
    """Each with what it shows."""
    language: str
    """RFC 5646."""
    written_at: datetime
