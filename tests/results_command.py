"""Runs `medversa-node results` on the node of a bench."""

from click.testing import CliRunner, Result

from tests.builders import Bench
from worker.results.commands import results


def run(bench: Bench, *arguments: str) -> Result:
    config = bench.delivered.parent / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{bench.pipeline.settings.node.data_dir}"\n', encoding="utf-8")
    return CliRunner().invoke(results, [*arguments, "--config", str(config)])
