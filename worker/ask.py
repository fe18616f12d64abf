"""One question about one study, from the command line: read, ask, tell."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from model.asking import ask, describe_region
from model.errors import AnswerError
from model.families.family import Family
from model.reader import Reader
from model.reading import Reading, ReadingRequest, Task
from model.volume import PlanarImage
from worker.answer_objects import objects_of, save_objects, save_picture
from worker.answer_text import lines_of
from worker.answer_values import stored_size, values_of
from worker.asked_study import AskedStudy
from worker.errors import AskedAmissError, NothingToReadError
from worker.request import PROTOCOLS, PreparedStudy

ANSWERED, DECLINED = 0, 3
"""Exit status, besides 1 for an error and 2 for a request that cannot be put."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked; exactly one of the three."""

    words: str = ""
    """A request in the user's own words."""
    task: str | None = None
    """A task of the study's protocol, in the released words; spelled as `slug_of` does."""
    region: str = ""
    """`x1,y1,x2,y2` in pixels of `<img0>`, or each with a per cent sign: a region to describe."""

    def put(self, family: Family, request: ReadingRequest) -> Reading:
        """Put it to the model.

        Raises:
            AskedAmissError: this kind of study has no such task, or the region cannot be read.
            AnswerError: the words cannot be put, or the region is not on the image.
        """
        if self.region:
            return describe_region(family, request, corners_of(self.region, request))
        if self.task is None:
            return ask(family, request, self.words)
        tasks = {slug_of(task): task for task in PROTOCOLS[request.modality]}
        if self.task not in tasks:
            raise AskedAmissError(f"this kind of study has no such task; possible are {', '.join(tasks)}")
        return Reader(family).read(replace(request, tasks=(tasks[self.task],)))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answer goes besides standard output."""

    values: Path | None = None
    """A JSON file; `-` is standard output, instead of the text."""
    picture: Path | None = None
    """A PNG file."""
    objects: Path | None = None
    """A folder for the DICOM objects."""


def slug_of(task: Task) -> str:
    """Name a task on the command line, e.g. `anatomy-detection`."""
    return task.value.replace(" ", "-")


def run_ask(study: AskedStudy, demand: Demand, outputs: Outputs, load: Callable[[], Family]) -> int:
    """Answer; return the exit status.

    Raises:
        click.UsageError: the request cannot be put as it is.
        NodeError, ModelError, ReportError, WorkerError: as their names say.
    """
    with Console(stderr=True).status("looking for the study …") as status:
        try:
            study.check()
            status.update("loading the model …")
            family = load()
            status.update("reading the study …")
            prepared = study.prepare(every_view=family.vocabulary.reads_every_view)
            status.update("asking …")
            reading = demand.put(family, prepared.request)
        except NothingToReadError as error:
            click.echo(f"Declined: {error}")
            return DECLINED
        except (AskedAmissError, AnswerError) as error:
            raise click.UsageError(str(error)) from error
    reading = replace(reading, caveats=(*reading.caveats, *prepared.caveats))
    _write(reading, prepared, outputs)
    _tell(reading, prepared.request, demand.words or None, outputs.values)
    return ANSWERED if reading.abstention is None else DECLINED


def corners_of(region: str, request: ReadingRequest) -> tuple[float, float, float, float]:
    """Read `x1,y1,x2,y2` as j0, i0, j1, i1 in stored pixels of the first image.

    Raises:
        AskedAmissError: it is not four numbers, or the first image has no pixels of its own.
    """
    image = request.images[0]
    if not isinstance(image, PlanarImage):
        raise AskedAmissError("regions are described on chest radiographs only")
    rows, columns = stored_size(image)
    parts = region.split(",")
    if len(parts) != 4:
        raise AskedAmissError("--region takes x1,y1,x2,y2")
    try:
        edges = [
            float(part.rstrip("% ")) * (side / 100 if part.strip().endswith("%") else 1)
            for part, side in zip(parts, (columns, rows) * 2, strict=True)
        ]
    except ValueError as exc:
        raise AskedAmissError("--region takes four numbers: x1,y1,x2,y2") from exc
    x1, y1, x2, y2 = edges
    return y1, x1, y2, x2


def _write(reading: Reading, prepared: PreparedStudy, outputs: Outputs) -> None:
    if reading.abstention is not None or not (outputs.picture or outputs.objects):
        return
    objects = objects_of(reading, prepared.sources)
    if outputs.objects:
        save_objects(objects, outputs.objects)
    if outputs.picture:
        save_picture(reading, prepared.request, prepared.sources, objects, outputs.picture)


def _tell(reading: Reading, request: ReadingRequest, words: str | None, values: Path | None) -> None:
    if values is not None:
        text = json.dumps(values_of(reading, request, words), indent=1) + "\n"
        if str(values) == "-":
            sys.stdout.write(text)
            return
        values.write_text(text, encoding="utf-8")
    for line in lines_of(reading, request, words):
        click.echo(line)
