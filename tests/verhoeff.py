"""The check digit of SNOMED CT identifiers: the dihedral group D5 of Verhoeff (1969)."""

_PRODUCT = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTATION = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def is_verhoeff_valid(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_PRODUCT[check][int(_PERMUTATION[place % 8][int(digit)])])
    return check == 0


def is_concept_identifier(value: str) -> bool:
    """Say whether digits are a SNOMED CT identifier of a concept: length, partition, check digit."""
    return 6 <= len(value) <= 18 and value[-3:-1] in {"00", "10"} and is_verhoeff_valid(value)
