"""Instances as they arrive, without a file behind them."""

from datetime import UTC, datetime
from pathlib import Path

from dicom_node.admission import Arrival
from dicom_node.header import Header
from dicom_node.study import Instance, Origin, SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID

STUDY = "1.2.826.0.1.3680043.8.498.4"


def arrival(number: int, folder: Path) -> Arrival:
    """Return one slice of one new study."""
    instance = Instance(
        sop_instance_uid=SOPInstanceUID(f"1.2.826.0.1.3680043.8.498.1{number:020}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=SeriesInstanceUID(f"{STUDY}.1"),
        study_instance_uid=StudyInstanceUID(STUDY),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT",
        path=folder / "20260102-00" / f"{number:032x}.dcm",
        digest=f"{number:064x}",
        size=524_288,
        origin=Origin.ROUTED,
        received_at=datetime.now(UTC),
    )
    return Arrival(instance, Header(patient_id="BENCH", modality="CT", study_instance_uid=STUDY), "BENCH")
