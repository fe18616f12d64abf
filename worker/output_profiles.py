"""Which profile of objects each destination gets; `auto` asks it which SOP classes it stores."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from dicom_node.errors import UnreachableError
from dicom_node.result_classes import SENT
from dicom_node.settings import Destination
from structured_reports.profiles import Profile
from structured_reports.writers.segmentation import LABEL_MAP_STORAGE

logger = logging.getLogger(__name__)

AUTO = "auto"

Ask = Callable[[Destination, Sequence[str]], frozenset[str]]
"""Which of some SOP classes a destination stores; raises UnreachableError."""

NEEDS: Mapping[Profile, tuple[str, ...]] = {
    profile: SENT[profile] for profile in (Profile.AIR, Profile.OHIF, Profile.STONE, Profile.LEGACY_GSPS)
}
"""What a destination must store for each profile, the one that says most first; pictures come last."""


CHOICES: Mapping[str, Mapping[Profile, tuple[str, ...]]] = {
    AUTO: {**NEEDS, Profile.LEGACY_SC: ()},
    Profile.LABEL_MAP: {Profile.LABEL_MAP: (LABEL_MAP_STORAGE,), Profile.AIR: ()},
}
"""Settings that ask first: profiles with what each needs, the wanted one first; the last needs nothing."""


def profiles_of(destinations: Iterable[Destination], ask: Ask) -> dict[str, Profile]:
    """Choose a profile for each destination, by its name."""
    return {each.name: _profile_of(each, ask) for each in destinations}


def _profile_of(destination: Destination, ask: Ask) -> Profile:
    choices = CHOICES.get(destination.profile)
    if choices is None or destination.kind != "dicom":
        # STOW-RS negotiates nothing; most archives take this form.
        unasked = Profile.AIR if destination.kind == "dicomweb" else Profile.FULL
        return unasked if destination.profile == AUTO else Profile(destination.profile)
    wanted = list(dict.fromkeys(str(uid) for uids in choices.values() for uid in uids))
    try:
        stored = ask(destination, wanted)
    except UnreachableError:
        # What it takes is not known; the objects wait for it in the form that most archives take.
        logger.warning("destination cannot be asked what it stores", extra={"destination": destination.name})
        return Profile.AIR
    profile = next(profile for profile, uids in choices.items() if stored.issuperset(uids))
    if profile is not next(iter(choices)):
        refused = sorted(set(wanted) - stored)
        logger.warning(
            "destination refuses SOP classes: another profile is used",
            extra={"destination": destination.name, "profile": profile.value, "refused": refused},
        )
    return profile
