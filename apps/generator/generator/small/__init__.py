"""The small text-to-image model: MiniLM reads, a UNet denoises 16 x 16 latents, a codec makes pixels of them."""
