"""`medversa-node train run`: trains any weights by a plan."""

import os
from pathlib import Path

import click
from rich.console import Console


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run; by default runs/ and the name of CONFIG.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the folder.")
def run(*, config: Path, out: Path | None, resume: bool) -> None:
    """Train by the plan in CONFIG, a TOML file, and leave weights that a node serves.

    On several devices or machines, let accelerate start the same command:
    `accelerate launch --num_processes 2 .venv/bin/medversa-node train run CONFIG`.
    """
    # Read before a CUDA context is made: without it, cuBLAS may add in another order after a resume.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torch is loaded only for the command that needs it.
    import torch

    from model.errors import DatasetError, TrainingError, WeightsError
    from model.training.runs.plan import read_plan
    from model.training.runs.running import run as run_plan

    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    console = Console(stderr=True)
    try:
        weights = run_plan(
            read_plan(config), out or Path("runs") / config.stem, resume=resume, console=console
        )
    except (TrainingError, WeightsError, DatasetError) as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(f"The weights are in {weights}; set `worker.weights` to it", highlight=False)
