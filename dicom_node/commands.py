"""Commands of the node's room: `serve`, `send`, `status`, `rebuild-index`, `doctor`."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from dicom_node.log_redaction import configure_logging
from dicom_node.settings import load_settings

CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The node's TOML file. Default: $MEDVERSA_CONFIG.",
)


@click.command()
@CONFIG
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
def serve(config: Path | None, log_level: str, log_json: bool) -> None:
    """Run the node: receive studies, wait until each is complete, hand it to a worker.

    Stops on SIGTERM or SIGINT: new associations are refused, open ones may finish. Everything answered with
    success is kept.
    """
    from dicom_node.serving import NodeService

    settings = load_settings(config)
    configure_logging(log_level, as_json=log_json)
    service = NodeService(settings)

    def on_signal(number: int, frame: FrameType | None) -> None:
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    service.run()


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the receiver.")
@click.option("--port", type=click.IntRange(1, 65535), default=11112, show_default=True, help="Its TCP port.")
@click.option("--called", default="MEDVERSA", show_default=True, help="Its AE title.")
@click.option("--calling", default="MEDVERSA_SEND", show_default=True, help="The AE title we give as ours.")
@click.option("--verbose", is_flag=True, help="Print a line for every file, not only for those that failed.")
def send(paths: tuple[Path, ...], host: str, port: int, called: str, calling: str, verbose: bool) -> None:
    """Send DICOM files, or all files in folders, by C-STORE.

    Exit status 0 if every file was stored, 1 if one was refused or is no DICOM file, 2 if nobody answers.
    """
    from dicom_node.sending import send_paths
    from dicom_node.settings import Destination

    receiver = Destination(
        name=called, ae_title=called, host=host, port=port, calling_ae_title=calling, timeout_s=60
    )
    sys.exit(send_paths(receiver, paths, verbose=verbose))


@click.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option(
    "--limit", type=click.IntRange(1), help="Most rows of each table. Default: 50, all with --json."
)
def status(config: Path | None, as_json: bool, limit: int | None) -> None:
    """Show studies, jobs, and what was refused or quarantined, each with the reason and what to do."""
    from dicom_node.overview import print_overview

    print_overview(load_settings(config), as_json=as_json, limit=limit)


@click.command()
@CONFIG
def rebuild_index(config: Path | None) -> None:
    """Index every stored image that the index does not know; make the index again if it is damaged or gone.

    For after a loss, or after an older copy of the index was restored; the node must not run. A damaged index
    of SQLite is renamed. Images come back as studies to compare with: they may have been read, and their
    results been sent, before the loss. A study that is sent to the node again is read.
    """
    from dicom_node.rebuilding import rebuild

    rebuild(load_settings(config))


@click.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def doctor(config: Path | None, as_json: bool) -> None:
    """Name what is wrong with this machine, its broker and clock, and each peer; say what to do about it.

    Peers are asked as the node asks them. An archive that is to move priors to the node moves one image for a
    trial: one that the node has already, or, while it does not serve, one that is dropped. Nothing is stored.

    Exit status 0 if the node can work, 1 if something it needs fails.
    """
    from dicom_node.diagnosis.doctor import run_doctor

    sys.exit(run_doctor(load_settings(config), as_json=as_json))
