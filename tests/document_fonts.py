"""Fonts that documents need, and marks for tests that cannot go without them."""

import pytest

from structured_reports.errors import FontError
from structured_reports.fonts import installed_fonts


def fonts_have(text: str) -> bool:
    """Say whether a font of this machine has every character."""
    try:
        installed_fonts().of(text)
    except FontError:
        return False
    return True


needs_text_font = pytest.mark.skipif(not fonts_have("a"), reason="no font for documents (`make servers`)")
needs_japanese = pytest.mark.skipif(not fonts_have("右"), reason="no Japanese font (`make servers`)")
