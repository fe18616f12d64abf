"""The MedVersa network of both generations: encoders, adapters, language model, heads; published names."""

import math
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, SwinConfig, SwinModel
from transformers.cache_utils import Cache, DynamicCache

from model.families.medversa_networks.sizes import MedVersaSizes
from model.vision_modules.detection import detection_head
from model.vision_modules.resnet_unet_2d import ResNetUNet2d
from model.vision_modules.unet_3d import UNet3d


def _swin(sizes: MedVersaSizes, image_size: int) -> SwinModel:
    return SwinModel(
        SwinConfig(
            image_size=image_size,
            patch_size=sizes.swin_patch,
            embed_dim=sizes.swin_embed,
            depths=list(sizes.swin_depths),
            num_heads=list(sizes.swin_heads),
            window_size=sizes.swin_window,
        )
    )


def llama_config(sizes: MedVersaSizes) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.feed_forward,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=sizes.context,
        rms_norm_eps=sizes.rms_eps,
        rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_theta},
        tie_word_embeddings=False,
    )


def lora_config(sizes: MedVersaSizes) -> LoraConfig:
    """Describe the published adapter, which changes queries and values of every layer."""
    return LoraConfig(
        r=sizes.lora_rank,
        lora_alpha=sizes.lora_alpha,
        lora_dropout=sizes.lora_dropout,
        target_modules=["q_proj", "v_proj"],
        bias="none",
        task_type="CAUSAL_LM",
    )


def _language_model(sizes: MedVersaSizes) -> LlamaForCausalLM | PeftModel:
    llama = LlamaForCausalLM(llama_config(sizes))
    if not sizes.lora_rank:
        return llama
    with warnings.catch_warnings():
        # peft asks transformers for an attribute under the name that it had before.
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(llama, lora_config(sizes))  # pyright: ignore[reportReturnType]  # never a mixed model here


class MedVersaNetwork(nn.Module):
    """Every parameter of a MedVersa checkpoint; `text2seg_*_ln` are in it and were never used.

    The parts whose names end in `vqa` or hold `sam` exist in generation v1 only.
    """

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.segmentation_size = sizes.segmentation_size
        bottleneck_2d, bottleneck_3d = sizes.unet2d_width * 8, sizes.unet3d_widths[-1]
        self.visual_encoder_2d = _swin(sizes, sizes.image_size)
        self.visual_encoder_3d = UNet3d(sizes.unet3d_widths, sizes.unet3d_groups)
        self.ln_vision_2d = nn.LayerNorm(sizes.swin_width)
        self.ln_vision_3d = nn.LayerNorm(bottleneck_3d)
        self.llama_model = _language_model(sizes)
        self.llama_proj_2d = nn.Linear(sizes.swin_width, sizes.hidden)
        self.llama_proj_3d = nn.Linear(bottleneck_3d, sizes.hidden)
        self.text_det = detection_head(sizes.hidden, sizes.detection_hidden)
        self.model_seg_2d = ResNetUNet2d(sizes.unet2d_width, sizes.unet2d_decoder, sizes.unet2d_groups)
        self.text2seg_2d = _text_to(bottleneck_2d, sizes)
        self.text2seg_2d_ln = nn.LayerNorm(bottleneck_2d)
        self.text2seg_2d_gn = nn.GroupNorm(sizes.unet2d_groups, bottleneck_2d)
        self.text2seg_3d = _text_to(bottleneck_3d, sizes)
        self.text2seg_3d_ln = nn.LayerNorm(bottleneck_3d)
        self.text2seg_3d_gn = nn.GroupNorm(sizes.unet3d_groups, bottleneck_3d)
        if sizes.vqa is not None:
            self.visual_encoder_2d_vqa = _swin(sizes, sizes.vqa.image_size)
            self.ln_vision_2d_vqa = nn.LayerNorm(sizes.swin_width)
            self.llama_proj_2d_vqa = nn.Linear(sizes.swin_width, sizes.hidden)
            self.model_sam_2d = ResNetUNet2d(sizes.unet2d_width, sizes.unet2d_decoder, groups=None)
            self.text2sam_2d = _text_to(bottleneck_2d, sizes)
            self.text2sam_2d_bn = nn.BatchNorm2d(bottleneck_2d)

    @property
    def generation(self) -> str:
        """`v0` or `v1`, as the publishers changed the architecture."""
        return self.sizes.generation

    @property
    def llama(self) -> LlamaForCausalLM:
        """The language model inside its LoRA wrapping."""
        inner: object = self.llama_model
        if isinstance(inner, PeftModel):
            inner = inner.get_base_model()
        if not isinstance(inner, LlamaForCausalLM):
            raise TypeError(type(inner).__name__)
        return inner

    def seen_2d(self, pictures: Tensor) -> Tensor:
        """Encode (N, 3, S, S) to (N, T, width): normalised visual tokens before projection."""
        return self.tokens_2d(self.visual_encoder_2d(pictures).last_hidden_state)

    def seen_2d_vqa(self, pictures: Tensor) -> Tensor:
        """Encode (N, 3, S, S) for open questions, S = `sizes.vqa.image_size`: (N, T, width), normalised.

        Raises:
            AttributeError: the network is of generation v0.
        """
        cells = self.visual_encoder_2d_vqa(pictures).last_hidden_state
        side = self.sizes.visual_side if self.sizes.vqa is None else self.sizes.vqa.visual_side
        return self.ln_vision_2d_vqa(_pooled(cells, side))

    def tokens_2d(self, cells: Tensor) -> Tensor:
        """Pool the encoder's last grid (N, G*G, width) to (N, T, width), row-major, normalised."""
        return self.ln_vision_2d(_pooled(cells, self.sizes.visual_side))

    def seen_3d(self, levels: list[Tensor]) -> Tensor:
        """Pool the 3D U-Net's bottleneck to (N, T, width): normalised visual tokens before projection."""
        side = self.sizes.visual_side
        pooled = functional.adaptive_avg_pool3d(levels[-1], (1, side, side))
        return self.ln_vision_3d(pooled.flatten(2).transpose(1, 2))

    def embed(self, ids: Tensor) -> Tensor:
        """Look (B, L) token ids up: (B, L, hidden)."""
        return self.llama.get_input_embeddings()(ids)

    def read(
        self, embedded: Tensor, mask: Tensor, cache: DynamicCache | None = None
    ) -> tuple[Tensor, Cache | None]:
        """Run the language model over new positions.

        Args:
            embedded: (B, L, hidden), left-padded.
            mask: (B, L_all): 1 for real positions, those in the cache first.
            cache: keys and values of earlier positions, or an empty cache to fill, or None.

        Returns:
            (B, L, hidden) states after the final norm, and the cache.
        """
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -embedded.shape[1] :]
        output = self.llama.model(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return output.last_hidden_state, output.past_key_values

    def logits(self, states: Tensor) -> Tensor:
        """Score the next token after each of (..., hidden) states: (..., vocabulary) float32."""
        return self.llama.lm_head(states).float()


def _pooled(cells: Tensor, side: int) -> Tensor:
    """Average (N, G*G, width) cells of a square grid to (N, side*side, width), row-major."""
    across = math.isqrt(cells.shape[1])
    grid = cells.transpose(1, 2).reshape(len(cells), -1, across, across)
    return functional.adaptive_avg_pool2d(grid, side).flatten(2).transpose(1, 2)


def _text_to(channels: int, sizes: MedVersaSizes) -> nn.Sequential:
    """Layers that turn a hidden state into what a U-Net's bottleneck is told."""
    return nn.Sequential(nn.LayerNorm(sizes.hidden), nn.Linear(sizes.hidden, channels))


def splice(embedded: Tensor, is_image: Tensor, visual: list[Tensor]) -> Tensor:
    """Put visual tokens in the place of the image placeholders of each row, in order.

    Args:
        embedded: (B, L, hidden).
        is_image: (B, L) bool; row b is True in as many places as visual[b] has tokens.
        visual: B tensors (images of the row x T, hidden).
    """
    filled = embedded.clone()
    filled[is_image] = torch.cat(visual).to(embedded.dtype)
    return filled
