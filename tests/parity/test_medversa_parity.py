"""Our MedVersa gives the published numbers, all of them, and deliberate errors do not."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

from model.families.medversa_networks import network as network_module
from model.families.medversa_networks.network import MedVersaNetwork
from model.vision_modules import unet_3d
from tests.parity.conftest import network_of
from tests.parity.published_outcomes import (
    GROUPS,
    Made,
    Outcomes,
    forced,
    heads,
    language_model,
    planar_encoder,
    volume_encoder,
    writing,
)
from tests.public_fixture import PublicFixture


@pytest.fixture(scope="module")
def outcomes(public: PublicFixture, network: MedVersaNetwork) -> Callable[[str], Outcomes]:
    """Outcomes of a group, each made once."""
    kept: dict[str, Outcomes] = {}

    def of(group: str) -> Outcomes:
        if group not in kept:
            kept[group] = GROUPS[group]((public, network))
        return kept[group]

    return of


@pytest.mark.parametrize("group", GROUPS)
def test_outcomes_are_the_published_ones(
    public: PublicFixture, outcomes: Callable[[str], Outcomes], group: str
) -> None:
    off = {name: gap for name, o in outcomes(group).items() if (gap := public.difference(name, o)) > 1}
    assert not off


def test_every_published_number_is_compared(
    public: PublicFixture, outcomes: Callable[[str], Outcomes]
) -> None:
    made = [name for group in GROUPS for name in outcomes(group)]
    assert sorted(made) == sorted(public.names())


def test_written_words_are_the_published_ones(public: PublicFixture, network: MedVersaNetwork) -> None:
    """Ids are compared exactly inside `writing`; here that there are any."""
    assert len(writing((public, network))["gen.step_hidden"][0]) == public.facts["gen"]["n_steps"]


def test_v0_alone_gives_the_same(public: PublicFixture, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = public, network_of(public, "v0", tmp_path_factory.mktemp("v0"))
    assert made[1].generation == "v0"
    for group in (planar_encoder, volume_encoder, language_model("A")):
        for name, outcome in group(made).items():
            assert public.difference(name, outcome) <= 1, name


# Deliberate errors: that the comparison can fail


def _off(made: Made, group: Callable[[Made], Outcomes], name: str) -> bool:
    return made[0].difference(name, group(made)[name]) > 1


@pytest.mark.parametrize("error", ["lora_A", "lora_B"])
def test_without_lora_the_states_differ(public: PublicFixture, network: MedVersaNetwork, error: str) -> None:
    parts = {name: p for name, p in network.named_parameters() if error in name}
    kept = {name: p.clone() for name, p in parts.items()}
    try:
        for parameter in parts.values():
            parameter.zero_()
        assert _off((public, network), language_model("A"), "llm.A.last_hidden")
    finally:
        for name, parameter in parts.items():
            parameter.copy_(kept[name])


def test_other_upsampling_gives_other_masks(
    public: PublicFixture, network: MedVersaNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unaligned(x: torch.Tensor, **told: object) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)

    monkeypatch.setattr(unet_3d, "functional", _Changed(interpolate=unaligned))
    assert _off((public, network), heads, "heads.seg3d_small.logits")


class _Changed:
    """`torch.nn.functional` with one function replaced."""

    def __init__(self, **changed: Callable[..., torch.Tensor]) -> None:
        self._changed = changed

    def __getattr__(self, name: str) -> Callable[..., torch.Tensor]:
        return self._changed.get(name) or getattr(functional, name)


@pytest.mark.parametrize("off_by", [-1, 1])
def test_state_beside_the_marker_gives_other_boxes(
    public: PublicFixture, network: MedVersaNetwork, off_by: int
) -> None:
    answer, _ = forced((public, network), "det")
    beside = [n + off_by for n in public.facts["forced"]["det"]["marker_positions_in_answer"]]
    assert public.difference("forced.det.boxes", network.text_det(answer[beside])) > 1


def test_pooling_without_overlap_gives_other_tokens(
    public: PublicFixture, network: MedVersaNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disjoint(grid: torch.Tensor, side: int) -> torch.Tensor:
        return functional.avg_pool2d(grid, grid.shape[-1] // side)

    monkeypatch.setattr(network_module, "functional", _Changed(adaptive_avg_pool2d=disjoint))
    assert _off((public, network), planar_encoder, "enc2d.tokens")


def test_the_norm_that_was_never_used_gives_other_masks(
    public: PublicFixture, network: MedVersaNetwork
) -> None:
    """`text2seg_2d_ln` is in the checkpoint and has the shape of the one that was used."""
    # A copy: other tests share the network, and monkeypatch does not put a module back.
    changed = deepcopy(network)
    unused = changed.text2seg_2d_ln

    class Channelwise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return unused(x.movedim(1, -1)).movedim(-1, 1)

    changed.text2seg_2d_gn = Channelwise()
    assert _off((public, changed), heads, "heads.seg2d.logits")
