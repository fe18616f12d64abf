"""Studies are taken from the node's own store."""

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_node.admission import StoreCommand
from dicom_node.database.engine import open_database
from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from tests.builders import data_set_bytes
from worker.archive_export.files import write_instance
from worker.archive_export.sources import Choice, StoreSource


def test_the_store_yields_what_it_received_and_counts_what_was_altered(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'node.sqlite'}")
    store = InstanceStore(tmp_path / "data", database)
    intake = Intake(store, database)
    for n in (1, 2):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.{n}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.9"
        ds.PatientID, ds.StudyDate, ds.Modality = "4711", "20240229", "CT"
        ds.Rows = ds.Columns = 2
        ds.BitsAllocated = 16
        ds.PixelData = np.zeros(4, "<u2").tobytes()
        write_instance(ds, tmp_path / f"{n}.dcm")
        reception = intake.begin(StoreCommand(CTImageStorage, f"1.2.3.{n}", ExplicitVRLittleEndian, "TEST"))
        reception.write(data_set_bytes(tmp_path / f"{n}.dcm"))
        reception.finish()
    altered = database.instances.get("1.2.3.2")
    assert altered is not None
    altered.path.write_bytes(altered.path.read_bytes()[:-2] + b"\1\1")
    source = StoreSource(database, store)

    chosen = source.studies(Choice(since="20240101", modalities=frozenset({"CT"})))
    study = source.read("1.2.3")
    database.close()

    assert chosen == ["1.2.3"]
    assert [str(ds.SOPInstanceUID) for ds in study.datasets] == ["1.2.3.1"]
    assert study.faults == {"a stored instance is not what was received": 1}
