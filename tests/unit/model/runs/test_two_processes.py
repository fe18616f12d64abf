"""Two processes learn what one learns, and a lost one costs no more than the steps since a checkpoint."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from model.training.runs.plan import RunPlan
from model.training.runs.running import run
from tests import tiny_run
from worker.demo.servers import free_port

STEPS = 10
COMMAND = "from model.training.commands import train; train()"


def _plan(root: Path) -> tuple[RunPlan, Path]:
    keep = {"every": 2, "last": 9, "validate_every": 4, "validation_batches": 1}
    plan = tiny_run.plan(root, steps=STEPS, keep=keep)
    config = root / "plan.toml"
    config.write_text(
        f"""
name = "tiny"
start_from = "start"
steps = {STEPS}
train = {sorted(tiny_run.EVERYTHING)}
batch = {{ size = 4, micro = 2 }}
descent = {{ peak_rate = 3e-3, warm_up = 2 }}
keep = {{ every = 2, last = 9, validate_every = 4, validation_batches = 1 }}
autocast = false
device = "cpu"
data = [{{ phantoms = {{ chest = 5 }}, validation = 1.0, folder = "phantoms" }}]
"""
    )
    return plan, config


def _start(config: Path, out: Path, *options: str) -> list[subprocess.Popen[str]]:
    """Start the command twice, as `accelerate launch` and `torchrun` do."""
    port = str(free_port())
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, "run", str(config), "--out", str(out), *options],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]


def _finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    said = [process.communicate(timeout=600)[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def both(root: Path) -> Path:
    """A run of two processes that nothing disturbed."""
    _, config = _plan(root)
    for code, said in _finish(_start(config, root / "both")):
        assert code == 0, said
    return root / "both" / "weights"


def test_two_processes_learn_what_one_learns_from_the_same_batches(root: Path, both: Path) -> None:
    plan, _ = _plan(root)
    run(plan, root / "one")
    one, two = tiny_run.trained(root / "one" / "weights"), tiny_run.trained(both)
    start = tiny_run.trained(Path(plan.start_from))
    assert one.keys() == two.keys()
    moved = max(float((tensor - start[name]).abs().max()) for name, tensor in one.items())
    # AdamW divides a gradient by its own size: where it is next to nothing, its rounding is seen.
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=moved * 1e-2, rtol=0, msg=name)


def test_lost_process_is_named_and_a_rerun_ends_at_the_same_weights(root: Path, both: Path) -> None:
    _, config = _plan(root)
    out = root / "disturbed"
    first, second = _start(config, out)
    while not (out / "checkpoints" / "step-00000002").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.005)
    second.kill()
    (code, said), _ = _finish([first, second])
    assert code == 1, said
    assert "another process of the run was lost in step" in said
    assert "--resume" in said
    assert not (out / "weights").exists()
    for code, said in _finish(_start(config, out, "--resume")):
        assert code == 0, said
    expected = tiny_run.trained(both)
    for name, tensor in tiny_run.trained(out / "weights").items():
        assert torch.equal(tensor, expected[name]), name
