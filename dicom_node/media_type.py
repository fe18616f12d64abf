"""Media types as HTTP headers name them (RFC 9110 8.3.1, 12.5.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PIECE = re.compile(r'(?:[^",;]|"(?:[^"\\]|\\.)*")+|[,;]')


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type, or a range of them, with its parameters; names are in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return "; ".join((self.name, *(f'{key}="{value}"' for key, value in self.parameters.items())))

    def covers(self, name: str) -> bool:
        """Say whether a concrete type falls under this one."""
        kind, _, _ = self.name.partition("/")
        return self.name in ("*/*", name) or (self.name == f"{kind}/*" and name.startswith(f"{kind}/"))


def media_type(text: str) -> MediaType:
    """Read the value of Content-Type; what is no media type has an empty name."""
    return next(iter(_media_types(text)), MediaType(""))


def accepted(text: str) -> list[MediaType]:
    """Read the value of Accept, what is wanted most first; types with weight 0 are left out."""
    weighted = [(_weight(each.parameters.get("q", "1")), each) for each in _media_types(text)]
    weighted.sort(key=lambda pair: -pair[0])
    return [
        MediaType(each.name, {key: value for key, value in each.parameters.items() if key != "q"})
        for weight, each in weighted
        if weight > 0
    ]


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _media_types(text: str) -> list[MediaType]:
    found: list[MediaType] = []
    pieces: list[str] = []
    for piece in (*_PIECE.findall(text), ","):
        if piece == ",":
            if pieces and pieces[0].strip():
                parameters = dict(_parameter(each) for each in pieces[1:])
                found.append(MediaType(pieces[0].strip().lower(), parameters))
            pieces = []
        elif piece != ";":
            pieces.append(piece)
    return found


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    value = value.strip()
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return name.strip().lower(), value
