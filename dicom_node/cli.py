"""The command `medversa-node`: finds subcommands by entry point and imports only the one that is called."""

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from dicom_node.errors import NodeError

COMMANDS = "medversa_node.commands"


class LazyGroup(click.Group):
    """A group whose commands are entry points: `serve` never loads what `worker` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(entry.name for entry in entry_points(group=COMMANDS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = next(iter(entry_points(group=COMMANDS, name=cmd_name)), None)
        return None if entry is None else _load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NodeError as exc:
            raise click.ClickException(str(exc)) from exc


SUMMARIES = {
    "ask": "Ask about a study in your own words; the model answers with text, boxes or masks.",
    "cancel": "Cancel a job: what is not sent yet never is.",
    "codes": "Print the concepts that results are coded in, for a terminologist.",
    "conformance": "Judge results of any maker by rules and validators.",
    "conformance-statement": "Write the DICOM conformance statement of this version.",
    "demo": "Show the whole walk with phantoms or studies of your own.",
    "doctor": "Name what is wrong with this machine and each peer, and what to do.",
    "evaluate": "Measure weights on phantoms, prepared datasets or real pictures.",
    "plan": "Show what would be done with a study by the rules, and why.",
    "prioritize": "Make a job more or less urgent.",
    "priors": "Show which earlier studies would be compared with a study, and why.",
    "quarantine": "Show what is kept and not used; release or drop it.",
    "rebuild-index": "Make the index again from the stored images, after it was lost or damaged.",
    "results": "Show results; decide about those that are held.",
    "retention": "Show which old studies may be removed; remove one.",
    "retry": "Try a failed or cancelled job again.",
    "send": "Send DICOM files or folders by C-STORE.",
    "serve": "Run the node: receive, complete and dispatch studies.",
    "shadow": "Try other weights on what the node reads, and send nothing.",
    "status": "Show studies, jobs and refusals with the reason for each state.",
    "timeline": "Show all that happened to a study, on one page.",
    "tokens": "Make, list and revoke the tokens of DICOMweb clients.",
    "train": "Train or fine-tune a model; prepare or export data for it.",
    "web": "Serve DICOMweb: STOW-RS, QIDO-RS, WADO-RS.",
    "weights": "Say what weights are, convert released ones, put others into service.",
    "worker": "Run a worker: read studies, deliver results.",
}
"""Shown by --help, which must not import every command."""


def _load(entry: EntryPoint) -> click.Command:
    try:
        command: click.Command = entry.load()
    except ImportError as exc:
        raise click.ClickException(
            f"`{entry.name}` cannot be loaded: {exc}. Install the extra it needs, e.g. medversa-node[worker]."
        ) from exc
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="medversa-node")
def main() -> None:
    """An AI node for radiology: receives studies by C-STORE, reads them, answers in DICOM."""
    # peft loads it wherever it is installed, and it asks for a package that fetches kernels from a hub.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
