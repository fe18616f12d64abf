"""Which objects a destination gets: each profile is what one kind of archive or viewer takes and shows.

What viewers make of each object was read in their sources, and OHIF's was run: it draws boxes of TID 1500
where every measurement has coordinates (nothing of `air`), and SEG, and no presentation state; the Stone Web
viewer draws regions of Comprehensive SR only; most other PACS workstations show presentation states, and
every one shows pictures.
"""

from dataclasses import dataclass
from enum import StrEnum

from structured_reports.writers.ohif_groups import GroupForm
from structured_reports.writers.tid1500 import ReportClass


class Profile(StrEnum):
    """Name of a profile, as a destination's setting `profile` spells it."""

    AIR = "air"
    """IHE AI Results: Comprehensive 3D SR, SEG and presentation states."""
    FULL = "full"
    """As `air`, with the narrative as a report of its own and key images."""
    OHIF = "ohif"
    """What OHIF shows: Comprehensive 3D SR, whose Imaging Measurements are what is drawn, and SEG."""
    OHIF_EDIT = "ohif-edit"
    """As `ohif`, with boxes as OHIF stores its own, so that every version of it lets a reader edit them."""
    LABEL_MAP = "label-map"
    """As `air`, with the masks once more as a label map, for destinations that store that class."""
    STONE = "stone"
    """What the Stone Web viewer draws: Comprehensive SR, whose regions name their Original Source; SEG."""
    LEGACY_GSPS = "legacy-gsps"
    """For archives without SEG and TID 1500: narrative, presentation states and key images."""
    LEGACY_SC = "legacy-sc"
    """For archives that show pictures only: the narrative, and pictures with everything burned in."""
    LEGACY_PDF = "legacy-pdf"
    """For those who open documents only: the report as one, in words and pictures."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a profile is made of."""

    writers: tuple[str, ...]
    """Names of `structured_reports.registry.WRITERS`."""
    report_class: ReportClass | None = None
    """SOP class of the TID 1500 report; None if the profile has none."""
    groups: GroupForm = GroupForm.TEMPLATE
    """What stands among the Imaging Measurements of that report."""


PROFILES: dict[Profile, Outputs] = {
    Profile.AIR: Outputs(("segmentation", "presentation state"), ReportClass.COMPREHENSIVE_3D),
    Profile.FULL: Outputs(
        ("segmentation", "presentation state", "key objects", "narrative"), ReportClass.COMPREHENSIVE_3D
    ),
    Profile.OHIF: Outputs(("segmentation for OHIF",), ReportClass.COMPREHENSIVE_3D, GroupForm.DRAWN),
    Profile.OHIF_EDIT: Outputs(("segmentation for OHIF",), ReportClass.COMPREHENSIVE_3D, GroupForm.EDITABLE),
    Profile.LABEL_MAP: Outputs(
        ("segmentation", "label map", "presentation state"), ReportClass.COMPREHENSIVE_3D
    ),
    Profile.STONE: Outputs(("segmentation",), ReportClass.COMPREHENSIVE),
    Profile.LEGACY_GSPS: Outputs(("presentation state", "key objects", "narrative")),
    Profile.LEGACY_SC: Outputs(("narrative", "secondary capture")),
    Profile.LEGACY_PDF: Outputs(("document",)),
}
