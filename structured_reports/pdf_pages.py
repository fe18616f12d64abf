"""Prints a report on A4 pages as PDF."""

from fpdf import FPDF
from fpdf.fonts import TTFFont
from PIL import Image

from structured_reports.document_pages import Pages, Section
from structured_reports.fonts import Fonts, bold_of, installed_fonts

_MARGIN_MM = 18.0
_LINE_MM = 5.2
_AMBER, _GREY, _BLACK = (255, 236, 190), (95, 95, 95), (0, 0, 0)


def pdf_of(pages: Pages) -> bytes:
    """Print pages with embedded fonts; equal pages give equal bytes.

    Raises:
        FontError: no installed font has every character.
    """
    paper = _Paper(pages, installed_fonts())
    try:
        paper.add_page()
        paper.print_title()
        for section in pages.sections:
            paper.print_section(section)
        for caption, picture in pages.pictures:
            paper.print_picture(caption, picture)
        return bytes(paper.output())
    finally:
        paper.close_fonts()


class _Paper(FPDF):
    def __init__(self, pages: Pages, fonts: Fonts) -> None:
        super().__init__(format="A4", unit="mm")
        self._pages = pages
        self.set_margins(_MARGIN_MM, _MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(True, margin=_MARGIN_MM + 6)
        self._fonts = fonts
        self.set_creation_date(pages.written_at)
        self.set_title(pages.title)
        self.set_lang(pages.language)

    def footer(self) -> None:
        """Say on each page what this is; called by the library."""
        self.set_y(-_MARGIN_MM)
        text = f"{self._pages.notices[0]} {self.page_no()}"
        self._choose_font(text, size=7.5)
        self.set_text_color(*_GREY)
        self.multi_cell(0, 3.6, text, align="C")
        self.set_text_color(*_BLACK)

    def close_fonts(self) -> None:
        """Close the files that the library leaves open."""
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.close()

    def print_title(self) -> None:
        self._write(self._pages.title, size=15, bold=True)
        self.ln(2)
        self.set_fill_color(*_AMBER)
        for notice in self._pages.notices:
            self._write(notice, size=10, bold=True, fill=True)
        self.ln(2)
        for name, value in self._pages.facts:
            self._write(f"{name}: {value}", size=9)

    def print_section(self, section: Section) -> None:
        self.ln(3)
        self._write(section.heading, size=12, bold=True)
        for paragraph in section.paragraphs:
            self._write(paragraph, size=10)

    def print_picture(self, caption: str, picture: Image.Image) -> None:
        """Print a picture as wide as the page, on a new one where this has no room for it."""
        height = self.epw * picture.height / picture.width
        if self.will_page_break(height + 12):
            self.add_page()
        self.ln(4)
        self.image(picture, w=self.epw, alt_text=caption)
        self._write(caption, size=8.5)

    def _write(self, text: str, *, size: float, bold: bool = False, fill: bool = False) -> None:
        """Print each line in one font: the library loses its place where it changes fonts within a text."""
        height = _LINE_MM * size / 10
        for line in text.splitlines() or [""]:
            self._choose_font(line, size=size, bold=bold)
            self.multi_cell(0, height, line, fill=fill, align="L", new_x="LMARGIN", new_y="NEXT")

    def _choose_font(self, text: str, *, size: float, bold: bool = False) -> None:
        path = self._fonts.of(text)
        style = "B" if bold else ""
        family = path.stem.casefold()
        if f"{family}{style}" not in self.fonts:
            self.add_font(family, style=style, fname=bold_of(path) if bold else path)
        self.set_font(family, style=style, size=size)
