"""Commands of the worker's room: `medversa-node worker` and `medversa-node demo`."""

from pathlib import Path

import click

from dicom_node.log_redaction import configure_logging
from dicom_node.settings import load_settings


@click.command()
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The node's TOML file.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
def worker(config: Path | None, concurrency: int, log_level: str, log_json: bool) -> None:
    """Run a worker: take jobs from the queue, read studies, deliver the results."""
    from worker.app import build_app

    settings = load_settings(config)
    configure_logging(log_level, as_json=log_json)
    app = build_app(settings)
    arguments = ["worker", "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", log_level]
    app.worker_main([*arguments, "--without-gossip", "--without-mingle", "--hostname", "medversa@%h"])


@click.command()
@click.option(
    "--studies",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="A file or folder of DICOM studies to send instead of phantoms; may be given again.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
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
