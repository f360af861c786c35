"""Pixels to latents and back: patches of 8 x 8 pixels, by their principal components.

The encoder is linear: each patch becomes its first components, scaled. The decoder adds to the linear way back what a
small network makes of a patch's neighbourhood, so that edges are sharp. Both are fitted on drawings.
"""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

PATCH = 8
HIDDEN = 144
FLATTEN = 0.35  # how far the spread of the components is evened out: 1 is wholly (each of spread 1), 0 not at all


class PatchCodec(ModelMixin, ConfigMixin):
    """Pictures in -1..1, n x 3 x height x width, to latents n x channels x height/8 x width/8, and back."""

    @register_to_config
    def __init__(self, channels: int = 12, patch: int = PATCH) -> None:
        super().__init__()
        size = 3 * patch * patch
        self.mean = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.basis = nn.Parameter(torch.zeros(channels, size), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.finer = nn.Sequential(
            nn.Conv2d(channels, HIDDEN, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(HIDDEN, size, 1),
        )
        nn.init.zeros_(self.finer[-1].weight)
        nn.init.zeros_(self.finer[-1].bias)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Latents of pictures."""
        patches = functional.unfold(pictures, self.config.patch, stride=self.config.patch).transpose(1, 2)
        latents = (patches - self.mean) @ self.basis.T / self.scale
        rows = pictures.shape[2] // self.config.patch
        return latents.transpose(1, 2).unflatten(2, (rows, -1))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures of latents."""
        patches = (latents.flatten(2).transpose(1, 2) * self.scale) @ self.basis + self.mean
        patches = patches + self.finer(latents).flatten(2).transpose(1, 2)
        size = (latents.shape[2] * self.config.patch, latents.shape[3] * self.config.patch)
        return functional.fold(patches.transpose(1, 2), size, self.config.patch, stride=self.config.patch)

    def fit(self, pictures: torch.Tensor) -> None:
        """Find the components of these pictures' patches."""
        patches = functional.unfold(pictures, self.config.patch, stride=self.config.patch).transpose(1, 2).flatten(0, 1)
        mean = patches.mean(0)
        centred = patches - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        kept = values.flip(0)[: self.config.channels]
        basis = vectors.flip(1)[:, : self.config.channels].T
        spread = kept.sqrt()
        relative = spread.pow(1 - FLATTEN)
        self.mean.data, self.basis.data = mean, basis.contiguous()
        self.scale.data = spread / relative * relative.square().mean().sqrt()
