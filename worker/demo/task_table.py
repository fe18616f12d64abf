"""Writes the page that shows every task with its request, its answer and a picture.

`python -m worker.demo.task_table deploy` asks the shipped weights about the demonstration studies and writes
`deploy/tasks.md` and its pictures.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from dicom_node.settings import NodeSettings
from model.families.family import Family
from model.reading import Reading, ReadingRequest
from model.registry import load_family
from worker.answer_objects import objects_of, save_picture
from worker.answer_text import conclusions_of
from worker.ask import Demand
from worker.asked_study import AskedStudy
from worker.demo.phantom_studies import write_demo_studies
from worker.demo.tasks import TASK_EXAMPLES, TaskExample
from worker.request import PreparedStudy

WIDTH = 640
"""Pixels of a picture on the page."""

_HEAD = """# The eleven tasks

What the weights that come with the node (`{name}`, sha256 `{sha256}`) answer when `medversa-node ask`
puts each task of the published model to them, from DICOM files. The studies are generated phantoms, and so
was everything that the weights ever saw: **nothing here is clinical**, and answers may be wrong. The same
requests run on real studies in `tests/acceptance/test_tasks.py`.

`python -m worker.demo.task_table OUT` makes this page again.

| task | request | answer | concluded | |
|---|---|---|---|---|
"""

_OWN = """
## In other words

The language model decides which module runs, so a request need not be worded as above. None of these is in
its training; each is as meant if the answer is of the right kind and about the right thing, true or not.

| task | request | answer | as meant |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, eq=False)
class TaskTable:
    """Asks about the demonstration studies."""

    family: Family
    studies: Mapping[str, Path]
    """Folders by title."""

    def ask(self, example: TaskExample, own_words: str = "") -> tuple[Reading, PreparedStudy]:
        """Put an example, or its task in other words."""
        priors = (self.studies[example.prior],) if example.prior else ()
        study = AskedStudy(str(self.studies[example.study]), NodeSettings(), priors)
        prepared = study.prepare(every_view=self.family.vocabulary.reads_every_view)
        words = own_words or example.words
        demand = Demand(words, region="" if words else example.region)
        return demand.put(self.family, prepared.request), prepared

    def rows(self, pictures: Path) -> Iterator[str]:
        """One row for each task; draws its picture."""
        for number, example in enumerate(TASK_EXAMPLES, start=1):
            reading, prepared = self.ask(example)
            file = pictures / f"task-{number:02}.png"
            save_picture(
                reading, prepared.request, prepared.sources, objects_of(reading, prepared.sources), file
            )
            _shrink(file)
            cells = (
                f"{number}. {example.name}",
                f"`{_request(example)}`",
                _answer(reading),
                "<br>".join(_conclusions(reading, prepared.request)),
                f'<img src="{pictures.name}/{file.name}" width="320" alt="{example.name}">',
            )
            yield f"| {' | '.join(cells)} |\n"

    def rows_in_other_words(self) -> Iterator[tuple[str, bool]]:
        """One row for each of the other wordings, and whether it led to its task."""
        for example in TASK_EXAMPLES:
            for words in example.own_words:
                reading, _ = self.ask(example, words)
                is_meant = bool(reading.answers) and example.is_meant(words, reading.answers[-1].text)
                yield (
                    f"| {example.name} | {words} | {_answer(reading)} | {'yes' if is_meant else 'no'} |\n",
                    is_meant,
                )


def write_page(folder: Path) -> None:
    """Ask everything and write `tasks.md` and `pictures/task-NN.png` into `folder`."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    family = load_family("medversa-demo")
    with TemporaryDirectory() as studies:
        written = write_demo_studies(Path(studies))
        table = TaskTable(family, {study.title: study.files[0].parent for study in written})
        rows = list(table.rows(pictures))
        others = list(table.rows_in_other_words())
    model = family.identity
    head = _HEAD.format(name=f"{model.name} {model.version}", sha256=model.weights_sha256[:16])
    share = f"\nAs meant: {sum(is_meant for _, is_meant in others)} of {len(others)}.\n"
    page = [head, *rows, _OWN, *(row for row, _ in others), share]
    (folder / "tasks.md").write_text("".join(page), encoding="utf-8")


def _request(example: TaskExample) -> str:
    return f"--region {example.region}" if example.region else example.words


def _answer(reading: Reading) -> str:
    if reading.abstention is not None:
        return f"declined: {reading.abstention}"
    return f"`{reading.answers[-1].text}`"


def _conclusions(reading: Reading, request: ReadingRequest) -> list[str]:
    return [line for _, lines in conclusions_of(reading, request) for line in lines] or ["an answer in words"]


def _shrink(file: Path) -> None:
    with Image.open(file) as picture:
        height = round(picture.height * WIDTH / picture.width)
        small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.quantize(128).save(file, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ask the shipped weights everything and write tasks.md.")
    parser.add_argument("folder", type=Path, help="where tasks.md and its pictures are written")
    write_page(parser.parse_args().folder)
