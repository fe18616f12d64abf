"""What our network makes of the fixture's inputs, by the fixture's names for it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.families.medversa_networks.generation import WritingRules, write
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.prefill import Prompt
from model.families.medversa_networks.sizes import RELEASED
from model.transforms import nearest_end_aligned, planar_to_grid
from model.vision_modules.registry import segmentation_3d
from model.vision_modules.segmentation_2d import Segmentation2d
from tests.public_fixture import PublicFixture, embedded

IMAGE = 32000
Outcomes = dict[str, Tensor | NDArray[Any]]
Made = tuple[PublicFixture, MedVersaNetwork]


def visual(made: Made, names: list[str]) -> Tensor:
    """(images x tokens, hidden) of planar images."""
    public, network = made
    return network.llama_proj_2d(network.seen_2d(public.pictures(names))).flatten(0, 1)


def visual_of_case(made: Made, name: str) -> Tensor:
    """(images x tokens, hidden) of a case of the language model."""
    public, network = made
    case = public.facts["cases"][name]
    if case.get("v1"):
        seen = network.seen_2d_vqa(public.pictures(case["images"], 512))
        return network.llama_proj_2d_vqa(seen).flatten(0, 1)
    if "volume" in case:
        seen = network.seen_3d(network.visual_encoder_3d.encode(public.small_volume()))
        return network.llama_proj_3d(seen)[0]
    return visual(made, case["images"])


def case_embedded(made: Made, name: str, answer: list[int] | None = None) -> Tensor:
    public, network = made
    case = public.facts["cases"][name]
    return embedded(
        network, case["prefix_ids"] + case["prompt_ids"] + (answer or []), visual_of_case(made, name)
    )


def states_of(network: MedVersaNetwork, rows: Tensor) -> Tensor:
    return network.read(rows, torch.ones(rows.shape[:2], dtype=torch.long))[0]


def preprocessing(made: Made) -> Outcomes:
    public, _ = made
    found: Outcomes = {
        f"pre2d.{name}": planar_to_grid(public.picture(name), 224)[0][None]
        for name in ("img0", "img1", "img2")
    }
    found["v1.pre512.img1"] = planar_to_grid(public.picture("img1"), 512)[0][None]
    return {**found, "prect.volume": public.volume()[0]}


def planar_encoder(made: Made) -> Outcomes:
    public, network = made
    names = ["img0", "img1", "img2"]
    cells = network.visual_encoder_2d(public.pictures(names)).last_hidden_state
    tokens = visual(made, names).unflatten(0, (3, -1))
    return {"enc2d.swin_last_hidden": cells, "enc2d.tokens": tokens}


def planar_encoder_of_v1(made: Made) -> Outcomes:
    public, network = made
    pictures = public.pictures(["img1"], 512)
    return {
        "v1.swin512.img1": network.visual_encoder_2d_vqa(pictures).last_hidden_state,
        "v1.tokens.img1": network.llama_proj_2d_vqa(network.seen_2d_vqa(pictures))[0],
    }


def volume_encoder(made: Made) -> Outcomes:
    public, network = made
    levels = network.visual_encoder_3d.encode(public.small_volume())
    found: Outcomes = {f"enc3d.small_x{n}": level for n, level in enumerate(levels, start=1)}
    return {**found, "enc3d.small_tokens": network.llama_proj_3d(network.seen_3d(levels))[0]}


def language_model(name: str) -> Callable[[Made], Outcomes]:
    def outcomes(made: Made) -> Outcomes:
        rows = case_embedded(made, name)
        states = states_of(made[1], rows)
        logits = made[1].logits(states)
        return {
            f"llm.{name}.inputs_embeds": rows,
            f"llm.{name}.last_hidden": states,
            f"llm.{name}.logits": logits,
            f"llm.{name}.logits_special": logits[..., IMAGE:],
            f"llm.{name}.argmax": logits.argmax(-1),
        }

    return outcomes


def writing(made: Made) -> Outcomes:
    """Greedy writing; the fixture's first state is that of the last word of the prompt."""
    public, network = made
    expected = public.facts["gen"]
    row = case_embedded(made, expected["case"])[0]
    every = WritingRules(((-1,),), frozenset(range(RELEASED.vocabulary)))
    prompt = Prompt(tuple(range(len(row))), row, expected["max_new_tokens"])
    (answer,) = write(network, [prompt], every)
    assert answer.ids == expected["new_ids"]
    before = states_of(network, row[None])[0, -1:]
    states = torch.cat([before, torch.stack([state for _, state in answer.states])[:-1]])
    return {
        "gen.step_hidden": states[None],
        "gen.step_logits": network.logits(states)[None],
        "gen.det_boxes_of_steps": network.text_det(states),
    }


def heads(made: Made) -> Outcomes:
    public, network = made
    about = public.facts["inputs"]["hidden"]
    state = public.hidden()[about["seg_row"]][None]
    small = network.visual_encoder_3d.encode(public.small_volume())
    module = segmentation_3d(network)
    logits = module.logits(state, small)
    return {
        "heads.det_boxes": network.text_det(public.hidden()),
        **planar_mask(made, "heads.seg2d", planar_module(network), state, about["seg_image"]),
        "heads.seg3d_small.state": network.text2seg_3d(state),
        "heads.seg3d_small.logits": logits,
        "heads.seg3d_small.mask": (logits >= 0)[0, 0],
    }


def planar_module(network: MedVersaNetwork) -> Segmentation2d:
    return Segmentation2d(network.model_seg_2d, network.text2seg_2d, network.text2seg_2d_gn, 224)


def planar_mask(made: Made, start: str, module: Segmentation2d, state: Tensor, image: str) -> Outcomes:
    levels = module.network.encode(made[0].pictures([image]))
    logits = module.logits(state, levels)
    return {
        f"{start}.enc_last": levels[-1],
        f"{start}.state": module.text(state),
        f"{start}.fused": module.told(state, levels[-1]),
        f"{start}.logits": logits,
        f"{start}.mask": (logits >= 0)[0, 0],
    }


def planar_segmentation_of_v1(made: Made) -> Outcomes:
    public, network = made
    about = public.facts["inputs"]["hidden"]
    module = Segmentation2d(network.model_sam_2d, network.text2sam_2d, network.text2sam_2d_bn, 224)
    found = planar_mask(made, "v1.sam", module, public.hidden()[about["seg_row"]][None], about["v1_image"])
    del found["v1.sam.state"]  # not among the published numbers
    return found


def forced(made: Made, name: str) -> tuple[Tensor, Tensor]:
    """States of a given answer, and those of its markers."""
    public, network = made
    about = public.facts["forced"][name]
    rows = case_embedded(made, about["case"], about["answer_ids"])
    answer = states_of(network, rows)[0, -len(about["answer_ids"]) :]
    return answer, answer[about["marker_positions_in_answer"]]


def forced_boxes(made: Made) -> Outcomes:
    answer, markers = forced(made, "det")
    return {"forced.det.hidden": answer, "forced.det.boxes": made[1].text_det(markers)}


def forced_planar_mask(made: Made) -> Outcomes:
    answer, markers = forced(made, "seg2d")
    image = made[0].facts["cases"]["A"]["images"][0]
    return {
        "forced.seg2d.hidden": answer,
        **planar_mask(made, "forced.seg2d", planar_module(made[1]), markers, image),
    }


def forced_volume_mask(made: Made) -> Outcomes:
    """The whole way of a CT: about a second per billion operations, and a gigabyte."""
    public, network = made
    answer, markers = forced(made, "seg3d")
    levels = network.visual_encoder_3d.encode(public.full_volume())
    tokens = network.llama_proj_3d(network.seen_3d(levels))[0]
    logits = segmentation_3d(network).logits(markers, levels)
    mask = (logits >= 0)[0, 0].numpy()
    native = public.facts["outputs"]["tensors"]["forced.seg3d_full.mask_native_kij"]["full_shape"]
    return {
        "enc3d.full_tokens": tokens,
        "enc3d.full_x5": levels[-1],
        "forced.seg3d.hidden": answer,
        "forced.seg3d_full.state": network.text2seg_3d(markers),
        "forced.seg3d_full.logits": logits,
        "forced.seg3d_full.mask": mask,
        "forced.seg3d_full.mask_native_kij": nearest_end_aligned(mask.astype(np.float32), tuple(native)) > 0,
    }


GROUPS: Mapping[str, Callable[[Made], Outcomes]] = {
    "preprocessing": preprocessing,
    "planar encoder": planar_encoder,
    "planar encoder of v1": planar_encoder_of_v1,
    "volume encoder": volume_encoder,
    **{f"language model, case {name}": language_model(name) for name in "ABCV"},
    "writing": writing,
    "heads": heads,
    "planar segmentation of v1": planar_segmentation_of_v1,
    "forced boxes": forced_boxes,
    "forced planar mask": forced_planar_mask,
    "forced volume mask": forced_volume_mask,
}
"""Every published number is made by one of these."""
