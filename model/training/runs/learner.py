"""The network as training calls it: a micro-batch in, what each of its terms amounts to out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.reading import Modality, Task
from model.training.losses import IGNORED, Recipe
from model.training.runs.marks import box_overlaps, mask_overlaps
from model.training.runs.microbatch import MicroBatch
from model.vision_modules.registry import segmentation_2d, segmentation_3d
from model.vision_modules.segmentation_2d import Segmentation2d, SegmentationByModality


@dataclass(frozen=True, slots=True)
class Manner:
    """How a learner computes."""

    recipe: Recipe
    autocast: bool
    recompute: bool


class Learner(nn.Module):
    """A network and the losses that it learns by, from pictures to the states of tags and back.

    Boxes and masks are made of the states at the answer's own `<DET>`, `<2DSEG>` and `<3DSEG>`, so that their
    losses reach the language model. In batches of segmentation the visual tokens pass no gradient back, as
    released: masks would else reshape what all other tasks see.
    """

    def __init__(self, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, manner: Manner) -> None:
        super().__init__()
        self.network = network
        self._manner = manner
        self._image = tokenizer.image
        self._tags = {tag: token for token, tag in tokenizer.tags.items()}

    def forward(self, batch: MicroBatch, wanted: frozenset[str]) -> dict[str, Tensor]:
        """Sum each wanted term over a micro-batch: the mean of its loss times its count.

        A term that is wanted, since other micro-batches of the step have it, and that this one lacks is 0
        through the same layers, so that all devices wait for the same gradients. In evaluation there are also
        the sums of overlaps, `iou` of boxes and `dice` of masks.
        """
        device = batch.ids.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._manner.autocast):
            tokens, levels = self._seen(batch)
            states = self._read(batch, tokens)
            outcome = {"language": self._language(states, batch.labels)}
            if "detection" in wanted:
                outcome |= self._detection(states, batch)
            if "segmentation" in wanted:
                outcome |= self._segmentation(states, levels, batch)
        return outcome

    def _seen(self, batch: MicroBatch) -> tuple[Tensor, list[Tensor]]:
        """(n, T, hidden) visual tokens of every picture, and the levels of volumes."""
        network, (modality, task) = self.network, batch.kind
        levels: list[Tensor] = []
        if modality is Modality.CT:
            levels = self._encoded(batch.pictures)
            tokens = network.llama_proj_3d(network.seen_3d(levels))
        elif task is Task.VQA and network.sizes.vqa is not None:
            tokens = network.llama_proj_2d_vqa(network.seen_2d_vqa(batch.pictures))
        else:
            tokens = network.llama_proj_2d(network.seen_2d(batch.pictures))
        return (tokens.detach() if task is Task.SEGMENTATION else tokens), levels

    def _encoded(self, volumes: Tensor) -> list[Tensor]:
        with self._volumetric(volumes.device):
            return self.network.visual_encoder_3d.encode(volumes)

    def _volumetric(self, device: torch.device) -> torch.autocast:
        """Return the precision of 3D convolutions: float32 on a CPU.

        There, torch 2.13 returns arbitrary numbers as bfloat16 weight gradients of convolutions on maps as
        small as the last level's.
        """
        enabled = self._manner.autocast and device.type == "cuda"
        return torch.autocast(device.type, torch.bfloat16, enabled=enabled)

    def _read(self, batch: MicroBatch, tokens: Tensor) -> Tensor:
        """(B, L, hidden)."""
        visual = tokens[batch.shown].flatten(0, 1)
        embedded = splice(self.network.embed(batch.ids), batch.ids == self._image, [visual])
        states, _ = self.network.read(embedded, batch.mask)
        return states

    def _language(self, states: Tensor, labels: Tensor) -> Tensor:
        """Score the positions that foretell an answer, and no others: a vocabulary is wide."""
        taught = labels[:, 1:] != IGNORED
        scores = self.network.logits(states[:, :-1][taught])
        return functional.cross_entropy(scores, labels[:, 1:][taught], reduction="sum")

    def _detection(self, states: Tensor, batch: MicroBatch) -> dict[str, Tensor]:
        own = states[batch.labels == self._tags["<DET>"]]
        if not len(own):
            return {"detection": self.network.text_det(states[:1, -1]).sum() * 0}
        boxes = self.network.text_det(own)
        outcome = {"detection": self._manner.recipe.detection(boxes, batch.boxes) * len(own)}
        if not self.training:
            outcome["iou"] = box_overlaps(boxes.float(), batch.boxes).sum()
        return outcome

    def _segmentation(self, states: Tensor, levels: list[Tensor], batch: MicroBatch) -> dict[str, Tensor]:
        volumetric = batch.kind[0] is Modality.CT
        own = states[batch.labels == self._tags["<3DSEG>" if volumetric else "<2DSEG>"]]
        decode = self._masked_3d if volumetric else self._masked_2d
        if not len(own):
            return {"segmentation": decode(states[:1, -1], levels, batch, batch.shown[:1]).sum() * 0}
        logits = decode(own, levels, batch, batch.masked)
        outcome = {"segmentation": self._manner.recipe.segmentation(logits, batch.masks) * len(own)}
        if not self.training:
            outcome["dice"] = mask_overlaps(logits, batch.masks).sum()
        return outcome

    def _masked_2d(self, states: Tensor, _: list[Tensor], batch: MicroBatch, pictures: Tensor) -> Tensor:
        module = self._planar(batch.kind[0])
        levels = module.network.encode(batch.segmented)
        return self._again(module.logits, states, [level[pictures] for level in levels])

    def _masked_3d(self, states: Tensor, levels: list[Tensor], _: MicroBatch, pictures: Tensor) -> Tensor:
        module = segmentation_3d(self.network)
        with self._volumetric(states.device):
            # A layer with weights in float32 takes nothing else where nothing is cast.
            return self._again(module.logits, states.float(), [level[pictures] for level in levels])

    def _planar(self, modality: Modality) -> Segmentation2d:
        module = segmentation_2d(self.network)
        return module.chest_and_skin if isinstance(module, SegmentationByModality) else module

    def _again(
        self, logits: Callable[[Tensor, list[Tensor]], Tensor], states: Tensor, levels: list[Tensor]
    ) -> Tensor:
        """Decode masks, to be decoded again on the way back if activations are not kept."""
        if not self._manner.recompute or not torch.is_grad_enabled():
            return logits(states, levels)
        made = checkpoint(logits, states, levels, use_reentrant=False)
        if not isinstance(made, Tensor):
            raise TypeError(type(made).__name__)
        return made
