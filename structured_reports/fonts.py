"""Fonts for documents: found on this machine, and asked whether they have every character.

Fonts are not part of this software: one that has Japanese is larger than all its code. Debian has them as
packages, which `deploy/install.sh servers` installs.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from structured_reports.errors import FontError

ROOTS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local" / "share" / "fonts",
)
"""Where fonts are looked for, in all folders below."""

TEXT_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")
"""Latin, Cyrillic and Greek; the first that is there is used. Its bold sister lies beside it."""

MORE_FONTS = ("ipaexg.ttf", "NotoSansCJK-Regular.ttc", "VL-Gothic-Regular.ttf", "NotoSansKR-Regular.ttf")
"""A text that the first does not have is printed in one of these; Noto CJK has Chinese and Korean too."""

WHAT_TO_INSTALL = "fonts-dejavu-core, and fonts-ipaexfont-gothic or fonts-noto-cjk for Japanese"


@dataclass(frozen=True, slots=True)
class Fonts:
    """Fonts of one document, the one that most is printed in first."""

    paths: tuple[Path, ...]

    def of(self, text: str) -> Path:
        """Give the first font that has every character of a text: a text is printed in one font.

        Raises:
            FontError: a character would print as an empty box; says of which script, and what to install.
        """
        wanted = {character for character in text if not character.isspace()}
        lacking = [(wanted - _characters(path), path) for path in self.paths]
        for lacks, path in lacking:
            if not lacks:
                return path
        missing = min((lacks for lacks, _ in lacking), key=len)
        scripts = ", ".join(sorted({_script(character) for character in missing}))
        raise FontError(f"no installed font has all characters ({scripts}): install {WHAT_TO_INSTALL}")


def installed_fonts(roots: Sequence[Path] = ROOTS) -> Fonts:
    """Find the fonts that documents can be printed in.

    Raises:
        FontError: there is none.
    """
    text = _first(TEXT_FONTS, tuple(roots))
    if text is None:
        raise FontError(f"no font for documents is installed: install {WHAT_TO_INSTALL}")
    more = (_first((name,), tuple(roots)) for name in MORE_FONTS)
    return Fonts((text, *(path for path in more if path is not None)))


def bold_of(path: Path) -> Path:
    """Give the bold sister of a font; the font itself where there is none."""
    bold = path.with_name(f"{path.stem.removesuffix('-Regular')}-Bold{path.suffix}")
    return bold if bold.exists() else path


@lru_cache
def _first(names: tuple[str, ...], roots: tuple[Path, ...]) -> Path | None:
    for name in names:
        for root in roots:
            if path := next(iter(sorted(root.rglob(name))), None):
                return path
    return None


@lru_cache
def _characters(path: Path) -> frozenset[str]:
    """List what a font has a glyph for; of a collection, its first font."""
    from fontTools.ttLib import TTFont

    with TTFont(path, fontNumber=0, lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap() or ()))


def _script(character: str) -> str:
    """Name the script of a character, e.g. HIRAGANA; the character itself may be a patient's."""
    return unicodedata.name(character, "UNNAMED").split()[0]
