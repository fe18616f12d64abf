"""`medversa-node rebuild-index`: the index made again from what lies in the spool."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from dicom_node.adoption import adopt
from dicom_node.database.engine import Database, open_database
from dicom_node.database.health import check_index, set_aside
from dicom_node.errors import IndexDamagedError
from dicom_node.serving import lock_data_dir
from dicom_node.settings import NodeSettings
from dicom_node.storage import IMAGES, Spool


def rebuild(settings: NodeSettings) -> None:
    """Give every complete file of the spool a row, and print how many there were.

    Raises:
        AlreadyServedError: the node runs.
        StorageError: the index cannot be written.
    """
    node = settings.node
    with closing(lock_data_dir(node.data_dir)):
        try:
            check_index(node.database_url, node.data_dir / IMAGES)
        except IndexDamagedError as exc:
            click.echo(exc)
            aside = set_aside(node.database_url)
            if aside is not None:
                click.echo(f"renamed to {aside.name}")
        with closing(open_database(node.database_url)) as database:
            adopted = adopt(database, _unknown(database, Spool(node.data_dir / IMAGES)))
    click.echo(f"{adopted.indexed} images indexed, {adopted.known} copies removed")
    if adopted.contradicting:
        click.echo(f"{adopted.contradicting} files left: another content is indexed under their UID")
    if adopted.incomplete:
        click.echo(f"{adopted.incomplete} files left: they broke off or were altered")


def _unknown(database: Database, spool: Spool) -> Iterator[Path]:
    known = database.instances.files_in(spool.folder)
    for folder in reversed(spool.folders()):
        for path in sorted(folder.iterdir()):
            if path not in known and path.stat().st_size:
                yield path
