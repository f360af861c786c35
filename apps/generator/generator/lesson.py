"""What an adapter learns from, for each model that can: latents of pictures, captions, and the error to lessen."""

import numpy as np
import torch
from PIL import Image, ImageOps

from generator import words

Condition = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of prompts: tokens' embeddings, their mask, the mean

TEMPLATES = ("a {}", "a picture of a {}", "a painting of a {}", "{}", "the {}", "a photo of a {}")


def captions_of(picture: Image.Image, subject: str) -> list[str]:
    """The picture's own, or the subject in each template."""
    own = picture.info.get("caption")
    return [own] if isinstance(own, str) and own.strip() else [one.format(subject) for one in TEMPLATES]


def pixels_of(pictures: list[Image.Image], side: int) -> torch.Tensor:
    """Pictures as n x 3 x side x side in -1..1."""
    fitted = [ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS) for picture in pictures]
    flat = torch.stack([torch.frombuffer(bytearray(one.tobytes()), dtype=torch.uint8) for one in fitted])
    return flat.view(-1, side, side, 3).permute(0, 3, 1, 2).float() / 127.5 - 1


def one_of(some: list, draw: torch.Generator):
    """Any of them."""
    return some[int(torch.randint(len(some), (1,), generator=draw))]


def prompts_without(subject: str, count: int) -> list[str]:
    """Prompts of the small model's own, always the same: four landscapes to each portrait, none with the subject."""
    rng = np.random.default_rng(0)
    made = [words.some_scene] * 4 + [words.some_portrait]
    prompts = [words.caption(made[at % len(made)](rng), rng) for at in range(count)]
    return [one for one in prompts if subject.lower() not in one]


def joined(some: list[Condition]) -> Condition:
    """Conditions of one prompt each as one of all, filled up to the longest."""
    hidden, mask = (torch.nn.utils.rnn.pad_sequence([one[at][0] for one in some], batch_first=True) for at in (0, 1))
    return hidden, mask, torch.cat([one[2] for one in some])


class SmallLesson:
    """Of the small model.

    A part of each batch has prompts that do not name the subject. What it is to learn there is what the model predicts
    without the adapter, so that such prompts, and the empty one of the guidance, go on as before: the prior
    preservation of Ruiz et al., "DreamBooth", 2022, with the prediction itself in the place of pictures drawn before.
    """

    targets = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
    rate = 2e-3
    gain = 1.2  # of what was learned, in the file: a training this short stops short of its subject (README, Figures)
    batch = 8
    unnamed = 2  # of the batch
    prompts = 64  # to take them from, and
    empty_prompts = 27

    def __init__(self, pipeline, pictures: list[Image.Image], subject: str) -> None:
        from generator.small import text
        from generator.small.pipeline import NATIVE

        def read(prompt: str) -> Condition:
            return text.encode(pipeline.tokenizer, pipeline.text_encoder, [prompt])[:3]

        self._pipeline = pipeline
        with torch.no_grad():
            self._latents = pipeline.codec.encode(pixels_of(pictures, NATIVE).to(pipeline.unet.device))
            self._said = [[read(one) for one in captions_of(picture, subject)] for picture in pictures]
            self._unnamed = [read(one) for one in prompts_without(subject, self.prompts)]
            self._unnamed += [read("")] * self.empty_prompts

    def loss(self, draw: torch.Generator) -> torch.Tensor:
        """Mean squared error of the predicted velocity, for some pictures at some times, plus that for the prompts
        that do not name the subject."""
        scheduler, unnamed = self._pipeline.scheduler, self.unnamed
        rows = torch.randint(len(self._latents), (self.batch,), generator=draw)
        said = [self._unnamed] * unnamed + [self._said[row] for row in rows[unnamed:].tolist()]
        condition = joined([one_of(some, draw) for some in said])
        latents = self._latents[rows]
        noise = torch.randn(latents.shape, generator=draw).to(latents)
        moments = torch.randint(scheduler.config.num_train_timesteps, (self.batch,), generator=draw)
        kept = scheduler.alphas_cumprod[moments][:, None, None, None].to(latents)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
        before = self._bare_guess(noisy[:unnamed], moments[:unnamed], tuple(one[:unnamed] for one in condition))
        guess = self._guess(noisy, moments, condition)
        mean_error = torch.nn.functional.mse_loss
        return mean_error(guess[unnamed:], velocity[unnamed:]) + mean_error(guess[:unnamed], before)

    def _guess(self, noisy: torch.Tensor, moments: torch.Tensor, condition: Condition) -> torch.Tensor:
        hidden, mask, pooled = condition
        moments = moments.to(noisy.device)
        given = {"class_labels": pooled, "encoder_attention_mask": mask}
        return self._pipeline.unet(noisy, moments, hidden, **given).sample

    def _bare_guess(self, noisy: torch.Tensor, moments: torch.Tensor, condition: Condition) -> torch.Tensor:
        """Without the adapter."""
        unet = self._pipeline.unet
        unet.disable_adapters()
        try:
            with torch.no_grad():
                return self._guess(noisy, moments, condition)
        finally:
            unet.enable_adapters()


class SdxlLesson:
    """Of Stable Diffusion XL: the UNet's attention, by the error of its noise, at the pictures' centre square."""

    targets = ("to_q", "to_k", "to_v", "to_out.0")
    rate = 1e-4
    gain = 1.0

    def __init__(self, pipeline, pictures: list[Image.Image], subject: str) -> None:
        from diffusers import DDPMScheduler

        self._unet = pipeline.unet
        self._scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
        self._side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        with torch.no_grad():
            pixels = pixels_of(pictures, self._side).to(pipeline.vae.device, pipeline.vae.dtype)
            coded = [pipeline.vae.encode(one[None]).latent_dist.mean for one in pixels]
            self._latents = torch.cat(coded) * pipeline.vae.config.scaling_factor
            self._said = [[self._read(pipeline, one) for one in captions_of(picture, subject)] for picture in pictures]

    @staticmethod
    def _read(pipeline, caption: str) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, _, pooled, _ = pipeline.encode_prompt(caption, do_classifier_free_guidance=False)
        return hidden, pooled

    def loss(self, draw: torch.Generator) -> torch.Tensor:
        """Mean squared error of the predicted noise (or velocity, where the model predicts that)."""
        row = int(torch.randint(len(self._latents), (1,), generator=draw))
        hidden, pooled = one_of(self._said[row], draw)
        latents = self._latents[row : row + 1]
        noise = torch.randn(latents.shape, generator=draw).to(latents)
        moments = torch.randint(self._scheduler.config.num_train_timesteps, (1,), generator=draw).to(latents.device)
        sizes = torch.tensor([[self._side, self._side, 0, 0, self._side, self._side]]).to(latents)
        noisy = self._scheduler.add_noise(latents, noise, moments)
        added = {"text_embeds": pooled, "time_ids": sizes}
        guess = self._unet(noisy, moments, hidden, added_cond_kwargs=added).sample
        velocity = self._scheduler.config.prediction_type == "v_prediction"
        wanted = self._scheduler.get_velocity(latents, noise, moments) if velocity else noise
        return torch.nn.functional.mse_loss(guess.float(), wanted.float())


LESSONS = {"small": SmallLesson, "sdxl": SdxlLesson}
