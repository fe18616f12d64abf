"""The seam between the search for priors and the places where they may be."""

from dataclasses import dataclass, field
from typing import Protocol

from dicom_node.admission import Patient
from dicom_node.study import Instance, StudyInstanceUID


@dataclass(frozen=True, slots=True)
class Candidate:
    """One study as far as a source can describe it."""

    study_instance_uid: StudyInstanceUID
    study_date: str
    study_time: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    descriptions: tuple[str, ...] = field(repr=False)
    patient: Patient = field(repr=False)
    patient_name: str = field(default="", repr=False)
    procedures: tuple[str, ...] = ()
    """Procedure Code Sequence (0008,1032), each as scheme and value: `LN 30745-4`."""
    lateralities: tuple[str, ...] = ()
    """Laterality (0020,0060) and Image Laterality (0020,0062)."""
    views: tuple[str, ...] = ()
    """View Position (0018,5101)."""


class PriorSource(Protocol):
    """A place where earlier studies of a patient may be found."""

    @property
    def name(self) -> str:
        """How results and notes call it."""
        ...

    @property
    def budget_s(self) -> float:
        """Seconds that it may take for one search, asking and fetching together."""
        ...

    def candidates(self, patient: Patient) -> list[Candidate]:
        """Return the studies it has under this Patient ID; whose they are is judged elsewhere.

        Raises:
            NodeError: it cannot answer.
        """
        ...

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        """Make the instances of a candidate available here; what has arrived counts, not what was promised.

        Raises:
            NodeError: it cannot deliver.
        """
        ...
