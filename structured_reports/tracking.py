"""Tracking identifiers (PS3.16 TID 4108): a thing in a patient keeps its UID from study to study."""

from dataclasses import dataclass

from pydicom.sr.coding import Code
from pydicom.uid import UID

from model.reading import BoundingBox, Finding, Laterality, Mask
from structured_reports.codes import concept_of
from structured_reports.identity import uid_from
from structured_reports.wording import named


@dataclass(frozen=True, slots=True)
class Tracking:
    """One Tracking Identifier and Tracking Unique Identifier, equal in SR, SEG and GSPS."""

    identifier: str
    uid: UID


@dataclass(frozen=True, slots=True)
class Tracker:
    """Names the things of one patient."""

    patient_key: str
    region: Code

    def finding(self, label: str, laterality: Laterality | None, number: int = 1) -> Tracking:
        """Name a finding, `number` counting from 1 those of the same label and side."""
        return self._tracking("finding", label, laterality, number=number)

    def box_of(self, finding: Finding, ordinal: int, number: int = 1) -> Tracking:
        """Name one box of a finding, `ordinal` counting from 0; `number` is the finding's.

        A single box is the finding's place and shares its UID: viewers that merge groups by UID show box and
        certainty as one. Of several boxes each is a thing of its own: merged, all but one would vanish.
        """
        if len(finding.boxes) == 1:
            return self.finding(finding.label, finding.laterality, number)
        side = finding.boxes[ordinal].laterality or finding.laterality
        kind = "lesion" if number == 1 else f"lesion of {number}"
        return self._tracking(kind, finding.label, side, number=ordinal + 1)

    def anatomy(self, box: BoundingBox, ordinal: int) -> Tracking:
        """Name the `ordinal`-th box of one structure, counting from 0 (two views show it twice)."""
        return self._tracking("region", box.label, box.laterality, number=ordinal + 1)

    def mask(self, mask: Mask, ordinal: int) -> Tracking:
        """Name the `ordinal`-th mask of one structure, counting from 0."""
        return self._tracking("mask", mask.label, mask.laterality, number=ordinal + 1)

    def caption(self, box: BoundingBox, ordinal: int) -> Tracking:
        """Name the `ordinal`-th region that a person asked about, counting from 0: of this image only."""
        place = (box.frame.sop_instance_uid, box.frame.frame_number, *box.low, *box.high)
        uid = uid_from("tracking", self.patient_key, "caption", *(str(part) for part in place), str(ordinal))
        return Tracking(f"region {ordinal + 1}", uid)

    def against(self, label: str, laterality: Laterality | None, prior_study_uid: str) -> Tracking:
        """Name the change of a finding since an earlier prior than the newest."""
        name = f"{named(label, laterality)} since an earlier prior"
        return Tracking(name, uid_from("tracking", self.finding(label, laterality).uid, prior_study_uid))

    def _tracking(self, kind: str, label: str, laterality: Laterality | None, *, number: int = 1) -> Tracking:
        concept = concept_of(label, self.region)
        side = concept.side(laterality)
        uid = uid_from(
            "tracking",
            self.patient_key,
            kind,
            concept.code.scheme_designator,
            concept.code.value,
            concept.site.value,
            side.value if side else "",
            str(number),
        )
        suffix = f" {number}" if kind.startswith("lesion") or number > 1 else ""
        return Tracking(f"{named(label, laterality)}{suffix}", uid)
