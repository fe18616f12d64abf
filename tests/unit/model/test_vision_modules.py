"""Which network a tag calls, and how often it looks at the image."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import VqaSizes
from model.reading import Modality
from model.transforms import PlanarPlacement, volume_to_grid
from model.vision_modules.registry import VISION_MODULES
from model.vision_modules.vision_module import SeenImage
from tests.small_medversa import SMALL, picture, random_network, volume

STATES = torch.randn(3, SMALL.hidden, generator=torch.Generator().manual_seed(0))


def _network(*, v1: bool) -> MedVersaNetwork:
    vqa = VqaSizes(image_size=112, visual_side=4) if v1 else None
    return random_network(replace(SMALL, vocabulary=50, vqa=vqa))


@pytest.fixture(scope="module")
def v0() -> MedVersaNetwork:
    return _network(v1=False)


@pytest.fixture(scope="module")
def v1() -> MedVersaNetwork:
    return _network(v1=True)


def _seen(modality: Modality | None) -> SeenImage:
    return SeenImage(picture(), PlanarPlacement(90, 70), torch.zeros(9, SMALL.hidden), modality=modality)


class _Counting:
    """A network whose looks at an image are counted."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.looks = 0
        self._handle = network.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.looks += 1

    def close(self) -> None:
        self._handle.remove()


@pytest.mark.parametrize(
    ("modality", "name"),
    [
        (None, "model_seg_2d"),
        (Modality.CXR, "model_seg_2d"),
        (Modality.DERM, "model_seg_2d"),
        (Modality.CT, "model_sam_2d"),
    ],
)
def test_v1_masks_chest_and_skin_with_the_first_network_and_all_else_with_the_second(
    v1: MedVersaNetwork, modality: Modality | None, name: str
) -> None:
    """The published routing; a planar image that is neither is given no other name here than that of CT."""
    seen = _seen(modality)
    with torch.no_grad():
        VISION_MODULES["<2DSEG>"](v1)(STATES, seen)
    assert list(seen.encoded) == [name]


def test_the_two_networks_of_v1_mask_differently(v1: MedVersaNetwork) -> None:
    with torch.no_grad():
        first, second = (VISION_MODULES["<2DSEG>"](v1)(STATES, _seen(m))[0] for m in (None, Modality.CT))
    assert abs(first - second).max() > 1e-3


def test_v0_masks_everything_with_its_only_network(v0: MedVersaNetwork) -> None:
    seen = _seen(Modality.CT)
    with torch.no_grad():
        VISION_MODULES["<2DSEG>"](v0)(STATES, seen)
    assert list(seen.encoded) == ["model_seg_2d"]


def test_planar_image_is_encoded_once_for_all_its_masks(v0: MedVersaNetwork) -> None:
    seen = _seen(Modality.CXR)
    counting = _Counting(v0.model_seg_2d.encoder)
    try:
        with torch.no_grad():
            together = VISION_MODULES["<2DSEG>"](v0)(STATES, seen)
            apart = [VISION_MODULES["<2DSEG>"](v0)(state[None], seen)[0] for state in STATES]
    finally:
        counting.close()
    assert counting.looks == 1
    for one, other in zip(together, apart, strict=True):
        assert (one == other).all()
    assert abs(together[0] - together[1]).max() > 1e-4, "the state changes nothing"


def test_states_of_a_language_model_in_half_precision_are_welcome(v0: MedVersaNetwork) -> None:
    with torch.no_grad():
        for tag in ("<DET>", "<2DSEG>"):
            halved = VISION_MODULES[tag](v0)(STATES.bfloat16(), _seen(None))
            full = VISION_MODULES[tag](v0)(STATES.bfloat16().float(), _seen(None))
            assert all((a == b).all() for a, b in zip(halved, full, strict=True))


def test_batch_norm_uses_its_running_statistics(v1: MedVersaNetwork) -> None:
    """So that what is masked beside an image does not change its mask."""
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        both, alone = (v1.model_sam_2d.encode(p)[-1][:1] for p in (pictures, pictures[:1]))
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("method", "side", "tokens"), [("seen_2d", 56, 9), ("seen_2d_vqa", 112, 16)])
def test_each_encoder_of_v1_gives_its_own_number_of_tokens(
    v1: MedVersaNetwork, method: str, side: int, tokens: int
) -> None:
    with torch.no_grad():
        seen: Tensor = getattr(v1, method)(torch.randn(2, 3, side, side))
    assert seen.shape == (2, tokens, v1.sizes.swin_width)


def test_v0_has_no_second_encoder(v0: MedVersaNetwork) -> None:
    assert v0.generation == "v0"
    with pytest.raises(AttributeError):
        v0.seen_2d_vqa(torch.randn(1, 3, 112, 112))


def test_volume_is_not_encoded_again_for_its_masks(v0: MedVersaNetwork) -> None:
    voxels, placement = volume_to_grid(volume(), SMALL.volume_grid)
    counting = _Counting(v0.visual_encoder_3d.enc4)
    try:
        with torch.no_grad():
            levels = v0.visual_encoder_3d.encode(torch.from_numpy(voxels)[None])
            seen = SeenImage(volume(), placement, torch.zeros(9, SMALL.hidden), tuple(levels))
            masks = VISION_MODULES["<3DSEG>"](v0)(STATES, seen)
    finally:
        counting.close()
    assert counting.looks == 1
    assert len(masks) == 3
