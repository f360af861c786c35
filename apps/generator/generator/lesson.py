"""What an adapter learns from, for each model that can: latents of pictures, captions, and the error to lessen."""

import torch
from PIL import Image, ImageOps

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


class SmallLesson:
    """Of the small model."""

    targets = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
    rate = 2e-3
    batch = 8
    gain = 1.35  # of what was learned, in the file: a training this short stops short of its subject (README, Figures)

    def __init__(self, pipeline, pictures: list[Image.Image], subject: str) -> None:
        from generator.small import text
        from generator.small.pipeline import NATIVE

        self._pipeline = pipeline
        with torch.no_grad():
            self._latents = pipeline.codec.encode(pixels_of(pictures, NATIVE).to(pipeline.unet.device))
            said = [captions_of(picture, subject) for picture in pictures]
            self._said = [
                [text.encode(pipeline.tokenizer, pipeline.text_encoder, [one])[:3] for one in some] for some in said
            ]

    def loss(self, draw: torch.Generator) -> torch.Tensor:
        """Mean squared error of the predicted velocity, for some pictures at some times."""
        scheduler, unet = self._pipeline.scheduler, self._pipeline.unet
        rows = torch.randint(len(self._latents), (self.batch,), generator=draw)
        hidden, mask, pooled = self._conditions(rows, draw)
        latents = self._latents[rows]
        noise = torch.randn(latents.shape, generator=draw).to(latents)
        moments = torch.randint(scheduler.config.num_train_timesteps, (self.batch,), generator=draw)
        kept = scheduler.alphas_cumprod[moments][:, None, None, None].to(latents)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        guess = unet(noisy, moments.to(latents.device), hidden, class_labels=pooled, encoder_attention_mask=mask).sample
        return torch.nn.functional.mse_loss(guess, kept.sqrt() * noise - (1 - kept).sqrt() * latents)

    def _conditions(self, rows: torch.Tensor, draw: torch.Generator) -> tuple[torch.Tensor, ...]:
        """One caption of each picture."""
        some = [
            self._said[row][int(torch.randint(len(self._said[row]), (1,), generator=draw))] for row in rows.tolist()
        ]
        hidden, mask = (
            torch.nn.utils.rnn.pad_sequence([one[at][0] for one in some], batch_first=True) for at in (0, 1)
        )
        return hidden, mask, torch.cat([one[2] for one in some])


class SdxlLesson:
    """Of Stable Diffusion XL: the UNet's attention, by the error of its noise, at the pictures' centre square."""

    targets = ("to_q", "to_k", "to_v", "to_out.0")
    rate = 1e-4
    batch = 1
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
        hidden, pooled = self._said[row][int(torch.randint(len(self._said[row]), (1,), generator=draw))]
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
