"""What headers and answers say of body part, side and view, in few words that can be compared."""

import re
from collections.abc import Iterable
from typing import Final

from dicom_node.priors.source import Candidate

BODY_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "chest": ("CHEST", "THORAX", "LUNG", "RIB", "HEART", "CXR", "CLAVICLE", "STERNUM"),
    "abdomen": ("ABDOMEN", "LIVER", "SPLEEN", "KIDNEY", "PANCREAS", "ABD", "PELVIS", "COLON", "BOWEL"),
    "skin": ("SKIN", "DERM", "LESION", "NEVUS", "NAEVUS"),
    "head": ("HEAD", "BRAIN", "SKULL", "SINUS", "FACE", "ORBIT", "NECK"),
    "spine": ("SPINE", "CSPINE", "TSPINE", "LSPINE"),
    "upper limb": ("ARM", "HAND", "WRIST", "ELBOW", "SHOULDER", "FINGER", "HUMERUS"),
    "lower limb": ("LEG", "KNEE", "ANKLE", "FOOT", "HIP", "TOE", "FEMUR"),
    "breast": ("BREAST", "MAMMO"),
}
"""Words in Body Part Examined and descriptions by region."""
PAIRED: Final = frozenset(("skin", "upper limb", "lower limb", "breast"))
"""Regions of which a description names the side; in a chest it names the view ("left lateral")."""
SIDE_WORDS: Final = {"LEFT": "left", "LT": "left", "RIGHT": "right", "RT": "right"}
LATERALITIES: Final = {"L": ("left",), "R": ("right",), "B": ("left", "right")}
"""Values of (0020,0060) and (0020,0062); U is unpaired and says nothing."""
PLANES: Final[dict[str, tuple[str, ...]]] = {
    "frontal": ("PA", "AP"),
    "lateral": ("LL", "RL", "LAT", "LATERAL", "LM", "ML"),
}
"""Views that show the same projection, by View Position (0018,5101) or words of a description."""
_REGION_OF: Final = {word: region for region, words in BODY_PARTS.items() for word in words}
_PLANE_OF: Final = {word: plane for plane, words in PLANES.items() for word in words}


def regions(candidate: Candidate) -> set[str]:
    """Return the regions named by Body Part Examined, or by the descriptions where that is silent."""
    for texts in (candidate.body_parts, candidate.descriptions):
        words = _words(texts)
        words |= {word.removesuffix("S") for word in words}
        if found := {_REGION_OF[word] for word in words & _REGION_OF.keys()}:
            return found
    return set()


def sides(candidate: Candidate) -> set[str]:
    """Return `left`, `right` or both; empty if none is stated."""
    stated = {
        side for value in candidate.lateralities for side in LATERALITIES.get(value.strip().upper(), ())
    }
    if stated or not regions(candidate) & PAIRED:
        return stated
    return {SIDE_WORDS[word] for word in _words(candidate.descriptions) & SIDE_WORDS.keys()}


def planes(candidate: Candidate) -> set[str]:
    """Return the projections of a study's images; empty if none is stated."""
    words = _words(candidate.views) or _words(candidate.descriptions)
    return {_PLANE_OF[word] for word in words & _PLANE_OF.keys()}


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[A-Z]+", text.upper())}
