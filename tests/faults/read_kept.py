"""Reads all that a node has kept as its worker does, and decodes it: `python -m tests.faults.read_kept DIR`.

Prints as JSON how many ended how, the slowest, and the errors that should not be.
"""

import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

from dicom_node.database.engine import open_database
from dicom_node.errors import StorageError
from dicom_node.storage import InstanceStore
from model.errors import ImagingError
from model.imaging.decoding import stored_frames
from model.imaging.selection import select_images


def main(data_dir: Path) -> None:
    warnings.simplefilter("ignore")
    database = open_database(f"sqlite:///{data_dir}/node.sqlite")
    store = InstanceStore(data_dir, database)
    ends: Counter[str] = Counter()
    unforeseen: Counter[str] = Counter()
    slowest_s = 0.0
    for study in database.studies.all():
        for instance in database.instances.of_study(study.study_instance_uid):
            began = time.monotonic()
            try:
                ds = store.read(instance)
                ends["read" if select_images([ds]).images else "not read"] += 1
                # Most seeds are of kinds that are not read: their pixels are decoded all the same.
                ends["frames decoded"] += sum(1 for _ in stored_frames(ds))
            except StorageError:
                ends["unreadable"] += 1
            except ImagingError:
                ends["pixels refused"] += 1
            except Exception as exc:  # noqa: BLE001 (that there is none is what is looked for)
                unforeseen[f"{type(exc).__name__}: {exc}"[:200]] += 1
            slowest_s = max(slowest_s, time.monotonic() - began)
    store.spool.close()
    database.close()
    print(json.dumps({**ends, "slowest_s": round(slowest_s, 2), "unforeseen": unforeseen}))  # noqa: T201 (the answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
