"""A diffusers pipeline of the small model, so that it is called, and given adapters, as the big ones are."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import BaseOutput
from PIL import Image

from generator.small import text

NATIVE = 128  # pixels of a side
GUIDANCE = 2.5
STEPS = 12
GRAIN = 2.5  # levels of 255: what the drawings have and the codec smooths away


@dataclass
class PipelineOutput(BaseOutput):
    """`images`: RGB pictures of the model's own size. `truncated`: whether the prompt was longer than what is read."""

    images: list[Image.Image]
    truncated: bool


class SmallPipeline(DiffusionPipeline, StableDiffusionLoraLoaderMixin):
    """Text to 128 x 128 pixels; classifier-free guidance (Ho and Salimans, 2022)."""

    model_cpu_offload_seq = "text_encoder->unet->codec"

    def __init__(self, unet, scheduler, text_encoder, tokenizer, codec) -> None:
        super().__init__()
        self.register_modules(
            unet=unet, scheduler=scheduler, text_encoder=text_encoder, tokenizer=tokenizer, codec=codec
        )

    def load_lora_weights(self, path: str, adapter_name: str | None = None, **reading) -> None:
        """Into the UNet; the text encoder never has any."""
        matrices, alphas, told = self.lora_state_dict(path, return_lora_metadata=True, **reading)
        self.load_lora_into_unet(
            matrices, network_alphas=alphas, unet=self.unet, adapter_name=adapter_name, metadata=told, _pipeline=self
        )

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str,
        *,
        num_inference_steps: int = STEPS,
        guidance_scale: float = GUIDANCE,
        generator: torch.Generator | None = None,
        cross_attention_kwargs: dict | None = None,
        callback_on_step_end=None,
        **_unused,
    ) -> PipelineOutput:
        """The picture of a prompt. `callback_on_step_end(pipeline, step, timestep, {})` is called after each step."""
        device = self.unet.device
        hidden, mask, pooled, truncated = text.encode(self.tokenizer, self.text_encoder, ["", prompt])
        side = self.unet.config.sample_size
        shape = (1, self.unet.config.in_channels, side, side)
        latents = torch.randn(shape, generator=generator, dtype=torch.float32).to(device, self.unet.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        for index, moment in enumerate(self.progress_bar(self.scheduler.timesteps)):
            pair = self.scheduler.scale_model_input(latents.expand(2, -1, -1, -1), moment)
            without, guided = self.unet(
                pair, moment, hidden, class_labels=pooled, encoder_attention_mask=mask,
                cross_attention_kwargs=cross_attention_kwargs,
            ).sample.chunk(2)  # fmt: skip
            guess = without + guidance_scale * (guided - without)
            latents = self.scheduler.step(guess, moment, latents).prev_sample
            if callback_on_step_end is not None:
                callback_on_step_end(self, index, moment, {})
        pixels = self.codec.decode(latents)[0].float().clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
        grain = GRAIN * torch.randn(pixels.shape[:2], generator=generator).numpy()[..., None]
        picture = Image.fromarray(((pixels + 1) * 127.5 + grain).round().clip(0, 255).astype(np.uint8))
        return PipelineOutput(images=[picture], truncated=truncated)
