"""Pure rule: which earlier studies are worth comparing with, and why."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from dicom_node.priors.source import Candidate

MODALITY_GROUPS: Final[dict[str, frozenset[str]]] = {
    "radiograph": frozenset(("CR", "DX", "RG")),
    "CT": frozenset(("CT",)),
    "photograph": frozenset(("XC", "DMS", "GM", "ES")),
}
"""Modalities (0008,0060) that show the same thing in the same way."""
CARRIERS: Final = frozenset(("OT", "SC", ""))
"""Modalities that say nothing: a digitized film or an export may be anything."""

BODY_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "chest": ("CHEST", "THORAX", "LUNG", "RIB", "HEART", "CXR", "CLAVICLE", "STERNUM"),
    "abdomen": ("ABDOMEN", "LIVER", "SPLEEN", "KIDNEY", "PANCREAS", "ABD", "PELVIS", "COLON", "BOWEL"),
    "skin": ("SKIN", "DERM", "LESION", "NEVUS", "NAEVUS"),
    "head": ("HEAD", "BRAIN", "SKULL", "SINUS", "FACE", "ORBIT", "NECK"),
    "spine": ("SPINE", "CSPINE", "TSPINE", "LSPINE"),
    "limb": (
        "ARM",
        "HAND",
        "WRIST",
        "ELBOW",
        "SHOULDER",
        "LEG",
        "KNEE",
        "ANKLE",
        "FOOT",
        "HIP",
        "FINGER",
        "TOE",
    ),
}
"""Words in Body Part Examined and descriptions by region."""
_REGION_OF: Final = {word: region for region, words in BODY_PARTS.items() for word in words}

PLACEHOLDER_IDS: Final = frozenset(
    ("UNKNOWN", "ANONYMOUS", "ANONYMIZED", "ANON", "NONE", "NA", "NULL", "NOID", "TEST", "X", "")
)
"""Patient IDs that name nobody, compared without case, punctuation and zeros."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate worth comparing with."""

    candidate: Candidate
    why: str
    """In words without identity."""


def names_a_patient(patient_id: str) -> bool:
    """Say whether a Patient ID can tell patients apart."""
    plain = re.sub(r"[\W_]", "", patient_id).upper()
    return plain.strip("0") not in PLACEHOLDER_IDS


def relevant(current: Candidate, candidates: Iterable[Candidate]) -> list[Choice]:
    """Return the comparable earlier studies of the same patient, newest first; never the study itself."""
    if not names_a_patient(current.patient.patient_id):
        return []
    choices = [
        Choice(candidate, why)
        for candidate in candidates
        if candidate.study_instance_uid != current.study_instance_uid
        and (why := _why(current, candidate)) is not None
    ]
    return sorted(choices, key=lambda choice: _moment(choice.candidate), reverse=True)


def _why(current: Candidate, earlier: Candidate) -> str | None:
    """Say why a candidate is worth comparing with; None if it is not."""
    if current.patient.contradicts(earlier.patient) or not _is_before(earlier, current):
        return None
    groups, regions = (_groups(current), _groups(earlier)), (_regions(current), _regions(earlier))
    same_group = groups[0] & groups[1]
    if not same_group and all(groups):
        return None
    same_region = regions[0] & regions[1]
    if all(regions) and not same_region:
        return None
    if not same_group and not same_region:
        return None
    what = [f"same modality group ({min(same_group)})" if same_group else "modality not stated"]
    what.append(f"same body part ({min(same_region)})" if same_region else "body part not stated")
    return f"{what[0]}, {what[1]}, {_days(earlier, current)}"


def _groups(candidate: Candidate) -> set[str]:
    return {
        name
        for name, members in MODALITY_GROUPS.items()
        if members & {m.upper() for m in candidate.modalities}
    }


def _regions(candidate: Candidate) -> set[str]:
    """Return the regions named by Body Part Examined, or by the descriptions where that is silent."""
    for texts in (candidate.body_parts, candidate.descriptions):
        words = {word for text in texts for word in re.findall(r"[A-Z]+", text.upper())}
        words |= {word.removesuffix("S") for word in words}
        if regions := {_REGION_OF[word] for word in words & _REGION_OF.keys()}:
            return regions
    return set()


def _moment(candidate: Candidate) -> tuple[str, str]:
    return candidate.study_date, _digits(candidate.study_time)


def _digits(time: str) -> str:
    return re.sub(r"\D", "", time.split(".")[0]).ljust(6, "0") if time else ""


def _is_before(earlier: Candidate, current: Candidate) -> bool:
    """Say whether one study is surely older; of two on one day both must tell their time."""
    if parse_date(earlier.study_date) is None or parse_date(current.study_date) is None:
        return False
    if earlier.study_date != current.study_date:
        return earlier.study_date < current.study_date
    times = _digits(earlier.study_time), _digits(current.study_time)
    return all(times) and times[0] < times[1]


def parse_date(text: str) -> date | None:
    """Read a DA value (PS3.5 6.2); None if it is absent or no date."""
    if re.fullmatch(r"[0-9]{8}", text) is None:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _days(earlier: Candidate, current: Candidate) -> str:
    dates = parse_date(earlier.study_date), parse_date(current.study_date)
    if dates[0] is None or dates[1] is None:
        return "earlier"
    days = (dates[1] - dates[0]).days
    return "earlier the same day" if days == 0 else f"{days} day{'s' if days > 1 else ''} before"
