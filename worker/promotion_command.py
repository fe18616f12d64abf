"""`medversa-node weights promote`, beside what `model` has to say about weights."""

from pathlib import Path

import click

from model.weights_commands import weights

__all__ = ["weights"]


@weights.command()
@click.argument("candidate", metavar="WEIGHTS")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    envvar="MEDVERSA_CONFIG",
    help="The node's TOML file; the one setting `weights` in it is changed.",
)
def promote(*, candidate: str, config: Path) -> None:
    """Put WEIGHTS into service: a training run, a folder of weights, or a shipped name.

    They are checked, copied with their card to DATA_DIR/weights, and named in the node's configuration.
    Try them beside the weights in service first: `medversa-node shadow run WEIGHTS`.
    """
    # torch is loaded only for the command that needs it.
    from worker.errors import PromotionError
    from worker.promotion import promote as put_into_service

    try:
        promotion = put_into_service(candidate, config)
    except PromotionError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"in service: {promotion.now}")
    click.echo(f"to go back: medversa-node weights promote {promotion.before} --config {config}")
    click.echo("Workers read the setting when they start: restart them.")
