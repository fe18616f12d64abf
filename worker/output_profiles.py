"""Which profile of objects each destination gets; `auto` asks it which SOP classes it stores."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
)

from dicom_node.errors import UnreachableError
from dicom_node.settings import Destination
from structured_reports.profiles import Profile

logger = logging.getLogger(__name__)

AUTO = "auto"

Ask = Callable[[Destination, Sequence[str]], frozenset[str]]
"""Which of some SOP classes a destination stores; raises UnreachableError."""

NEEDS: Mapping[Profile, tuple[str, ...]] = {
    Profile.AIR: (
        Comprehensive3DSRStorage,
        SegmentationStorage,
        GrayscaleSoftcopyPresentationStateStorage,
    ),
    Profile.OHIF: (Comprehensive3DSRStorage, SegmentationStorage),
    Profile.STONE: (ComprehensiveSRStorage, SegmentationStorage),
    Profile.LEGACY_GSPS: (
        EnhancedSRStorage,
        GrayscaleSoftcopyPresentationStateStorage,
        KeyObjectSelectionDocumentStorage,
    ),
}
"""What a destination must store for each profile, the one that says most first; pictures come last."""


def profiles_of(destinations: Iterable[Destination], ask: Ask) -> dict[str, Profile]:
    """Choose a profile for each destination, by its name."""
    return {each.name: _profile_of(each, ask) for each in destinations}


def _profile_of(destination: Destination, ask: Ask) -> Profile:
    if destination.profile != AUTO:
        return Profile(destination.profile)
    if destination.kind != "dicom":
        return Profile.FULL
    wanted = list(dict.fromkeys(str(uid) for uids in NEEDS.values() for uid in uids))
    try:
        stored = ask(destination, wanted)
    except UnreachableError:
        # What it takes is not known; the objects wait for it in the form that most archives take.
        logger.warning("destination cannot be asked what it stores", extra={"destination": destination.name})
        return Profile.AIR
    profile = next((p for p, uids in NEEDS.items() if stored.issuperset(uids)), Profile.LEGACY_SC)
    if profile is not Profile.AIR:
        refused = sorted(set(wanted) - stored)
        logger.warning(
            "destination refuses SOP classes: another profile is used",
            extra={"destination": destination.name, "profile": profile.value, "refused": refused},
        )
    return profile
