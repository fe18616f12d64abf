"""Commands of the worker's room: `medversa-node worker`, `ask` and `demo`."""

from importlib import import_module
from pathlib import Path

import click

from dicom_node.commands import CONFIG
from dicom_node.log_redaction import configure_logging
from dicom_node.settings import load_settings

_PATH = click.Path(exists=True, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@CONFIG
@click.option(
    "--stage",
    "stages",
    type=click.Choice(("reading", "delivery")),
    multiple=True,
    help="What to do; may be given again. Default: both.",
)
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
def worker(
    config: Path | None, stages: tuple[str, ...], concurrency: int, log_level: str, log_json: bool
) -> None:
    """Run a worker: take jobs from the queues, read studies, deliver the results.

    Reading and delivery have a queue each. One worker may serve both; where a GPU reads, let one worker with
    as many processes as the GPU has room for do the reading, and another, with more, the delivery. Each
    process that reads loads the model once.

    On SIGTERM it finishes what it does and stops; on SIGQUIT it gives its jobs back and stops at once.
    """
    from dicom_node.study import Stage
    from worker.app import build_app, run_worker

    settings = load_settings(config)
    configure_logging(log_level, as_json=log_json)
    served = [Stage(name) for name in stages] or list(Stage)
    if Stage.READING in served:
        # Before processes are forked, so that they share it; who only delivers starts without it.
        import_module("model.registry")
    run_worker(build_app(settings), served, concurrency, log_level)


_PRECISIONS = ("auto", "float32", "bfloat16", "int8", "int4")
_TASKS = (
    "report",
    "classification",
    "anatomy-detection",
    "pathology-detection",
    "segmentation",
    "comparison",
)


@click.command()
@click.argument("study")
@click.argument("words", nargs=-1)
@click.option("--prior", "priors", type=_PATH, multiple=True, help="An earlier study of the same patient.")
@click.option("--priors", "stored_priors", is_flag=True, help="Show the stored priors of a stored study too.")
@CONFIG
@click.option("--task", type=click.Choice(_TASKS), help="Put a task of the protocol instead of WORDS.")
@click.option(
    "--region", default="", help="Describe x1,y1,x2,y2 of <img0> instead: pixels, or per cent (10%)."
)
@click.option("--weights", help="Name of shipped weights, or a folder. Default: as configured.")
@click.option("--device", help="auto, cpu, cuda or cuda:N. Default: as configured.")
@click.option(
    "--precision", type=click.Choice(_PRECISIONS), help="Of the language model. Default: as configured."
)
@click.option(
    "--json", "values", type=_FILE, help="Write JSON to this file; - prints it instead of the text."
)
@click.option("--picture", type=_FILE, help="Write a PNG with boxes and masks on the image.")
@click.option("--dicom", "objects", type=_FOLDER, help="Write SR, SEG and GSPS to this folder.")
def ask(
    study: str,
    words: tuple[str, ...],
    priors: tuple[Path, ...],
    stored_priors: bool,
    config: Path | None,
    task: str | None,
    region: str,
    weights: str | None,
    device: str | None,
    precision: str | None,
    values: Path | None,
    picture: Path | None,
    objects: Path | None,
) -> None:
    """Ask about STUDY in your own WORDS; the model decides what to answer with: text, boxes or masks.

    STUDY is a DICOM file, a folder of one study, or the Study Instance UID of a study in the node's store.
    WORDS may name images: <img0> is the first of the study; priors follow.

    Exit status 0 if answered, 3 if the model declines, 2 if the request cannot be put, 1 if something fails.
    """
    from model.errors import ModelError
    from model.registry import load_family
    from structured_reports.errors import ReportError
    from worker.app import torch_device
    from worker.ask import Demand, Outputs, run_ask
    from worker.asked_study import AskedStudy
    from worker.errors import WorkerError

    if sum(map(bool, (words, task, region))) != 1:
        raise click.UsageError("give WORDS, or --task, or --region")
    settings = load_settings(config)
    opened = settings.worker
    configure_logging("ERROR")
    try:
        status = run_ask(
            AskedStudy(study, settings, priors, stored_priors),
            Demand(" ".join(words), task, region),
            Outputs(values, picture, objects),
            lambda: load_family(
                weights or opened.weights,
                torch_device(device or opened.device),
                precision or opened.precision,
            ),
        )
    except (ModelError, ReportError, WorkerError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(status)


@click.command()
@click.option(
    "--studies",
    type=_PATH,
    multiple=True,
    help="A file or folder of DICOM studies to send instead of phantoms; may be given again.",
)
@click.option(
    "--out",
    type=_FOLDER,
    default=Path(".demo"),
    show_default=True,
    help="Where studies, pictures and logs go.",
)
@click.option("--keep", is_flag=True, help="Leave everything running and say how to point a PACS at it.")
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    default=900,
    show_default=True,
    help="Seconds to wait for the results.",
)
def demo(studies: tuple[Path, ...], out: Path, keep: bool, timeout_s: float) -> None:
    """Show the whole walk: start Orthanc, node and worker, send studies, wait for the results, check them."""
    from worker.demo.walk import run_demo

    raise SystemExit(run_demo(studies, out.resolve(), keep=keep, timeout_s=timeout_s))
