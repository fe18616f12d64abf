"""Our MedVersa against numbers of the published code, on weights and inputs that are a function of a seed.

The numbers are read from the fixture beside the checkout; without it these tests are skipped. They prove
arithmetic and the names of tensors, not clinical behaviour.
"""

import importlib.util
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from model.families.medversa_loading import empty_network
from model.families.medversa_networks.generation import WritingRules, write
from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.prefill import Prompt
from model.families.medversa_networks.sizes import RELEASED
from model.training.losses import (
    IGNORED,
    detection_loss,
    dice_coefficient,
    focal_loss,
    language_loss,
    segmentation_loss,
)
from model.transforms import planar_to_grid, volume_to_grid
from model.vision_modules.segmentation_2d import Segmentation2d
from model.vision_modules.segmentation_3d import Segmentation3d
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from model.weights import load_into

IMAGE, DETECTION, PADDING = 32000, 32001, 29900


@dataclass(frozen=True, slots=True, eq=False)
class Fixture:
    """Expected numbers and the rule that makes inputs and weights."""

    rule: ModuleType
    facts: dict[str, Any]
    stored: dict[str, NDArray[Any]]
    network: MedVersaNetwork

    def check(self, name: str, found: Tensor | NDArray[Any]) -> None:
        """Compare the stored slice within the stated tolerance."""
        about = self.facts["outputs"]["tensors"][name]
        array = np.asarray(found)
        assert list(array.shape) == about["full_shape"]
        part = array[tuple(slice(*s) for s in about.get("slice", [[None]]))]
        np.testing.assert_allclose(part, self.stored[name], atol=about["tolerance"].get("atol", 0), rtol=0)

    def picture(self, name: str) -> PlanarImage:
        about = self.facts["inputs"]["images"][name]["smooth"]
        made = self.rule.smooth(self.facts["seed"], name, *about.values()).astype(np.float32) / 255
        return PlanarImage(made[..., 0] if about["channels"] == 1 else made, FrameKey("1"))

    def pictures(self, names: list[str]) -> Tensor:
        """As the network sees them: rounded to bfloat16."""
        return torch.from_numpy(
            np.stack([self.rule.bf16(planar_to_grid(self.picture(n), 224)[0]) for n in names])
        )

    def volume(self) -> NDArray[np.float32]:
        """(1, 64, 192, 192), before rounding; the fixture's (i, j, k) is our (k, j, i) turned round."""
        about = self.facts["inputs"]["volume"]["smooth"]
        made = self.rule.smooth(self.facts["seed"], "volume", *about.values())[..., 0]
        voxels = made.transpose(2, 1, 0).astype(np.float32)
        affine = np.zeros((4, 4))
        affine[2, 0] = affine[1, 1] = affine[0, 2] = affine[3, 3] = 1
        frames = tuple(FrameKey(f"1.{k}") for k in range(len(voxels)))
        return volume_to_grid(Volume(voxels, Geometry(affine), frames), RELEASED.volume_grid)[0]

    def small_volume(self) -> Tensor:
        cut = tuple(slice(*s) for s in self.facts["inputs"]["small_volume"]["slice_dij"])
        return torch.from_numpy(self.rule.bf16(self.volume()))[(slice(None), *cut)][None]

    def hidden(self) -> Tensor:
        about = self.facts["inputs"]["hidden"]["gaussian"]
        return torch.from_numpy(self.rule.gaussian(self.facts["seed"], "hidden", *about.values()))

    def tokens(self, names: list[str]) -> Tensor:
        return self.network.llama_proj_2d(self.network.seen_2d(self.pictures(names))).flatten(0, 1)

    def embedded(self, ids: list[int], tokens: Tensor) -> Tensor:
        row = torch.tensor([ids])
        return splice(self.network.embed(row), row == IMAGE, [tokens])


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    named = os.environ.get("MEDVERSA_TEST_DATA")
    root = Path(__file__).resolve().parents[2]
    shared = Path(named).parent if named else root.parent / "shared"
    folder = shared / "parity" / "public"
    if not (folder / "fixture.json").is_file():
        pytest.skip("the parity fixture is not beside the checkout")
    described = importlib.util.spec_from_file_location("parity_rule", folder / "rule.py")
    assert described is not None
    assert described.loader is not None
    rule = importlib.util.module_from_spec(described)
    described.loader.exec_module(rule)
    facts = json.loads((folder / "fixture.json").read_text(encoding="utf-8"))
    file = tmp_path_factory.mktemp("weights") / "formula.safetensors"
    save_file(rule.state_dict(facts["seed"], facts["keys"]["medversa_v0"]), file)
    network = _reduced(facts["config"])
    load_into(network, file)
    return Fixture(rule, facts, load_file(folder / "outputs.safetensors"), network)


def _reduced(config: dict[str, Any]) -> MedVersaNetwork:
    swin, llama = config["swin"], config["llama"]
    sizes = replace(
        RELEASED,
        swin_embed=swin["embed_dim"],
        swin_depths=tuple(swin["depths"]),
        swin_heads=tuple(swin["num_heads"]),
        hidden=llama["hidden_size"],
        feed_forward=llama["intermediate_size"],
        layers=llama["num_hidden_layers"],
        heads=llama["num_attention_heads"],
    )
    return empty_network(sizes).eval()


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", ["img0", "img1", "img2"])
def test_planar_preprocessing(fixture: Fixture, name: str) -> None:
    fixture.check(f"pre2d.{name}", planar_to_grid(fixture.picture(name), 224)[0][None])


def test_volume_preprocessing(fixture: Fixture) -> None:
    fixture.check("prect.volume", fixture.volume())


def test_2d_encoder_and_visual_tokens(fixture: Fixture) -> None:
    pictures = fixture.pictures(["img0", "img1", "img2"])
    fixture.check("enc2d.swin_last_hidden", fixture.network.visual_encoder_2d(pictures).last_hidden_state)
    fixture.check("enc2d.tokens", fixture.network.llama_proj_2d(fixture.network.seen_2d(pictures)))


def test_3d_encoder_and_visual_tokens(fixture: Fixture) -> None:
    levels = fixture.network.visual_encoder_3d.encode(fixture.small_volume())
    for n, level in enumerate(levels, start=1):
        fixture.check(f"enc3d.small_x{n}", level)
    fixture.check("enc3d.small_tokens", fixture.network.llama_proj_3d(fixture.network.seen_3d(levels))[0])


def test_language_model_over_spliced_images(fixture: Fixture) -> None:
    case = fixture.facts["cases"]["A"]
    embedded = fixture.embedded(case["prefix_ids"] + case["prompt_ids"], fixture.tokens(case["images"]))
    fixture.check("llm.A.inputs_embeds", embedded)
    states, _ = fixture.network.read(embedded, torch.ones(embedded.shape[:2], dtype=torch.long))
    fixture.check("llm.A.last_hidden", states)
    logits = fixture.network.logits(states)
    fixture.check("llm.A.logits", logits)
    fixture.check("llm.A.logits_special", logits[..., IMAGE:])
    fixture.check("llm.A.argmax", logits.argmax(-1))


def test_greedy_writing_and_the_state_of_each_token(fixture: Fixture) -> None:
    case, expected = fixture.facts["cases"]["A"], fixture.facts["gen"]
    row = fixture.embedded(case["prefix_ids"] + case["prompt_ids"], fixture.tokens(case["images"]))[0]
    prompt = Prompt(tuple(range(len(row))), row, limit=expected["max_new_tokens"])
    (answer,) = write(
        fixture.network, [prompt], WritingRules(((-1,),), frozenset(range(RELEASED.vocabulary)))
    )
    assert answer.ids == expected["new_ids"]
    # step_hidden[0, k] belongs to token k - 1; the fixture ends before the last token's own state
    states = torch.stack([state for _, state in answer.states])[:-1]
    atol = fixture.facts["outputs"]["tensors"]["gen.step_hidden"]["tolerance"]["atol"]
    np.testing.assert_allclose(states, fixture.stored["gen.step_hidden"][0, 1:], atol=atol, rtol=0)


def test_detection_head_on_the_states_of_its_tags(fixture: Fixture) -> None:
    fixture.check("heads.det_boxes", fixture.network.text_det(fixture.hidden()))
    case, forced = fixture.facts["cases"]["A"], fixture.facts["forced"]["det"]
    ids = case["prefix_ids"] + case["prompt_ids"] + forced["answer_ids"]
    embedded = fixture.embedded(ids, fixture.tokens(case["images"]))
    states, _ = fixture.network.read(embedded, torch.ones(embedded.shape[:2], dtype=torch.long))
    answer = states[0, -len(forced["answer_ids"]) :]
    fixture.check("forced.det.hidden", answer)
    fixture.check("forced.det.boxes", fixture.network.text_det(answer[forced["marker_positions_in_answer"]]))


def test_2d_segmentation(fixture: Fixture) -> None:
    network, about = fixture.network, fixture.facts["inputs"]["hidden"]
    state = fixture.hidden()[about["seg_row"]][None]
    levels = network.model_seg_2d.encode(fixture.pictures([about["seg_image"]]))
    fixture.check("heads.seg2d.enc_last", levels[-1])
    fixture.check("heads.seg2d.state", network.text2seg_2d(state))
    module = Segmentation2d(network.model_seg_2d, network.text2seg_2d, network.text2seg_2d_gn, 224)
    fixture.check("heads.seg2d.logits", module.logits(state, levels))


def test_3d_segmentation(fixture: Fixture) -> None:
    network = fixture.network
    state = fixture.hidden()[fixture.facts["inputs"]["hidden"]["seg_row"]][None]
    fixture.check("heads.seg3d_small.state", network.text2seg_3d(state))
    module = Segmentation3d(network.visual_encoder_3d, network.text2seg_3d, network.text2seg_3d_gn)
    levels = network.visual_encoder_3d.encode(fixture.small_volume())
    fixture.check("heads.seg3d_small.logits", module.logits(state, levels))


# Losses


def _loss_states(fixture: Fixture, name: str) -> tuple[Tensor, Tensor]:
    """States and labels of a padded batch; the reference attends its padding and begins twice."""
    facts = fixture.facts["losses"]
    case = facts["loss_cases"][name]
    rows = []
    for b, prefix in enumerate(case["prefix_ids_padded"]):
        ids = [1, *prefix, *case["prompt_ids_padded"][b], *case["answer_ids_padded"][b]]
        shown = facts["rows"][b][: case["num_imgs"][b]]
        rows.append(fixture.embedded(ids, fixture.tokens(shown)))
    embedded, answers = torch.cat(rows), torch.tensor(case["answer_ids_padded"])
    before = embedded.shape[1] - answers.shape[1]
    attended = torch.tensor(case["answer_attention_mask"])
    mask = torch.cat([torch.ones(len(rows), before, dtype=torch.long), attended], dim=1)
    states, _ = fixture.network.read(embedded, mask)
    labels = torch.full(mask.shape, IGNORED)
    labels[:, before:] = answers.where(answers != PADDING, torch.tensor(IGNORED))
    return states, labels


def _expect(fixture: Fixture, name: str, found: Tensor) -> None:
    facts = fixture.facts["losses"]
    assert found.item() == pytest.approx(facts["values"][name], rel=facts["rtol"])


@pytest.mark.parametrize("name", ["report_ce", "detection_ce_only", "seg2d_ce_only"])
def test_language_loss(fixture: Fixture, name: str) -> None:
    states, labels = _loss_states(fixture, name)
    _expect(fixture, name, language_loss(fixture.network.logits(states), labels))


def test_detection_total(fixture: Fixture) -> None:
    states, labels = _loss_states(fixture, "detection_total")
    told = ";".join(fixture.facts["losses"]["detection_boxes"]).split(";")
    targets = torch.tensor([[float(v) for v in box.split(",")] for box in told if box != "n/a"])
    boxes = fixture.network.text_det(states[labels == DETECTION])
    total = language_loss(fixture.network.logits(states), labels) + detection_loss(boxes, targets)
    _expect(fixture, "detection_total", total)


def test_segmentation_total(fixture: Fixture) -> None:
    network, facts = fixture.network, fixture.facts["losses"]
    states, labels = _loss_states(fixture, "seg2d_total")
    pictures = fixture.pictures([row[0] for row in facts["rows"]])
    module = Segmentation2d(network.model_seg_2d, network.text2seg_2d, network.text2seg_2d_gn, 224)
    logits = module.logits(states[labels == 32002], network.model_seg_2d.encode(pictures))
    targets = torch.zeros(len(pictures), 1, 224, 224)
    for b, (y0, y1, x0, x1) in enumerate(facts["loss_cases"]["seg2d_total"]["target_rects_y0y1x0x1"]):
        targets[b, 0, y0:y1, x0:x1] = 1
    total = language_loss(network.logits(states), labels) + segmentation_loss(logits, targets)
    _expect(fixture, "seg2d_total", total)
    mixed = 10 * focal_loss(logits, targets) - dice_coefficient(logits, targets).log()
    assert segmentation_loss(logits, targets).item() == pytest.approx(mixed.item())
