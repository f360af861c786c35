"""Text to image with LoRA adapters, and their training, over apps/generator."""
