"""Each parameter belongs to one part; what is frozen stays, what is chosen learns."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from model.families.medversa_loading import empty_network
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import RELEASED, RELEASED_V1
from model.reading import Modality, Task
from model.training.runs.opening import open_to_learn
from model.training.runs.parts import PARTS, choose, part_of, recompute, wake
from model.training.runs.trainer import take_step
from tests import tiny_run
from tests.small_medversa import random_network
from tests.unit.model.runs.assembled import assembled

MILLIONS = {
    "lora": 8.39,  # 32 layers x 2 matrices x 16 x (4096 + 4096)
    "vision_2d": 86.75,
    "detection": 1.06,
    "projections": 5.25,
}
"""Parameters of the published model by part."""


def test_published_parameters_are_divided_as_published() -> None:
    count = Counter[str]()
    for name, parameter in empty_network(RELEASED).named_parameters():
        count[part_of(name)] += parameter.numel()
    assert count.keys() == PARTS.keys()
    for part, millions in MILLIONS.items():
        assert count[part] / 1e6 == pytest.approx(millions, abs=0.01), part
    assert count["unused"] == 2 * (512 + 256)


def test_second_generation_has_its_additions_in_the_same_parts() -> None:
    names = dict(empty_network(RELEASED_V1).named_parameters())
    assert part_of("visual_encoder_2d_vqa.layernorm.weight") == "vision_2d"
    assert {part_of(n) for n in names if "sam_2d" in n} == {"segmentation_2d"}
    assert part_of("llama_proj_2d_vqa.bias") == "projections"


@pytest.mark.parametrize("part", sorted(tiny_run.EVERYTHING))
def test_frozen_parts_stay_and_the_chosen_one_learns(tmp_path: Path, part: str) -> None:
    plan = tiny_run.plan(tmp_path, train=[part])
    trainee, draw = assembled(plan)
    before = {name: p.detach().clone() for name, p in trainee.learner.network.named_parameters()}
    for step, task in enumerate((Task.REPORT, Task.ANATOMY_DETECTION, Task.SEGMENTATION)):
        take_step(trainee, step, draw((Modality.CXR, task), step))
    for step in (3, 4):
        take_step(trainee, step, draw((Modality.CT, Task.SEGMENTATION), step))
    changed = {
        part_of(name)
        for name, parameter in trainee.learner.network.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    assert changed == {part}


def test_only_what_learns_drops_at_random() -> None:
    network = random_network(tiny_run.SIZES)
    choose(network, {"lora", "segmentation_2d"})
    wake(network, {"lora", "segmentation_2d"})
    awake = {name for name, module in network.named_modules() if module.training}
    assert any("lora_dropout" in name for name in awake)
    assert all("lora_" in name or "seg_2d" in name for name in awake)
    wake(network, {"vision_2d"})
    assert {n for n, m in network.named_modules() if m.training and "drop_path" in n}
    assert not any("lora" in n for n, m in network.named_modules() if m.training)


def test_batch_norm_keeps_its_statistics() -> None:
    network = random_network(tiny_run.SIZES_V1)
    wake(network, {"segmentation_2d"})
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_language_model_without_adapter_gets_one_that_changes_nothing(tmp_path: Path) -> None:
    bare = replace(tiny_run.SIZES, lora_rank=0)
    weights = tiny_run.write_weights(tmp_path / "bare", bare)
    plan = tiny_run.plan(tmp_path, start_from=str(weights), train=["lora"], lora={"rank": 3, "alpha": 3})
    adapted, tokenizer, _ = open_to_learn(plan)
    plain, _, _ = open_to_learn(plan.model_copy(update={"train": frozenset({"language"})}))
    assert (adapted.sizes.lora_rank, plain.sizes.lora_rank) == (3, 0)
    ids = torch.tensor([tokenizer.encode("Segment the liver in this image")])
    torch.testing.assert_close(_states(adapted, ids), _states(plain, ids))


def _states(network: MedVersaNetwork, ids: torch.Tensor) -> torch.Tensor:
    return network.eval().read(network.embed(ids), torch.ones_like(ids))[0]


def test_recomputed_activations_give_the_same_gradients(tmp_path: Path) -> None:
    plan = tiny_run.plan(tmp_path)
    kinds = [(Modality.CXR, Task.PATHOLOGY_DETECTION), (Modality.CT, Task.SEGMENTATION)]
    for kind in kinds:
        kept, draw = assembled(plan)
        again, _ = assembled(plan.model_copy(update={"recompute": True}))
        recompute(again.learner.network)
        batch = draw(kind, 0)
        take_step(kept, 0, batch)
        take_step(again, 0, batch)
        for name, parameter in kept.parameters.items():
            torch.testing.assert_close(again.parameters[name], parameter, msg=name)
