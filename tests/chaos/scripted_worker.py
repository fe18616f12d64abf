"""A worker process like any other, but that its model answers by script: `python -m … CONFIG [STAGE...]`.

What the model does with a study is written in the last component of its image's SOP Instance UID.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dicom_node.log_redaction import configure_logging
from dicom_node.settings import load_settings
from dicom_node.study import Stage
from model.families.family import Sight
from model.reader import Reader
from model.reading import Modality
from model.volume import PlanarImage, Volume
from tests.fakes import FakeFamily
from worker.app import WorkerProcess, build_app, run_worker

KILLS, CRASHES, HANGS, SLOW = "9001", "9002", "9003", "9004"
SLOW_S = 1.0


class ScriptedFamily(FakeFamily):
    """Ends its process, never answers, or answers late, where a study says so."""

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> Sight:
        image = images[0]
        frame = image.frame if isinstance(image, PlanarImage) else image.frames[0]
        match frame.sop_instance_uid.rpartition(".")[2]:
            case mark if mark == KILLS:
                os.kill(os.getpid(), signal.SIGKILL)
            case mark if mark == CRASHES:
                os.kill(os.getpid(), signal.SIGSEGV)
            case mark if mark == HANGS:
                time.sleep(3600)
            case mark if mark == SLOW:
                time.sleep(SLOW_S)
            case _:
                pass
        return super().look(modality, images)


class ScriptedProcess(WorkerProcess):
    """A worker's process with the scripted model."""

    @property
    def reader(self) -> Reader:
        return Reader(ScriptedFamily())


def main(config: Path, stages: Sequence[str]) -> None:
    settings = load_settings(config)
    configure_logging("INFO")
    served = [Stage(name) for name in stages] or list(Stage)
    run_worker(build_app(settings, ScriptedProcess(settings)), served, 1, "INFO")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
