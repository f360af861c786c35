"""A loaded model: pictures of prompts, with or without an adapter."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from generator import backends, device
from generator.adapters import Adapters

PROMPT_CHARACTERS_MAX = 4000
STEPS_MAX = 200
SIDE_MIN = 64  # pixels
SIDE_MAX = 2048
SEED_MAX = 2**63 - 1
SCALE_MAX = 4.0
GUIDANCE_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Picture:
    """What was drawn, RGB, and what is to be said of it.

    `facts`: `backend`, `device`, `seed`, `steps`, `native_size` and `size` ([width, height] in pixels), `upscaled_by`
    (1.0 when not), `adapter` (None without), `prompt_truncated` (not all of it was read), `seconds`.
    """

    image: Image.Image
    facts: dict[str, object]


class Generator:
    """A model on its device. Not for several threads at a time."""

    def __init__(self, backend: backends.Backend, where: str, pipeline, weights: str | None) -> None:
        self.backend = backend.name
        self.device = where
        self.pipeline = pipeline
        self._kind = backend
        self.weights = weights  # their identity, where they have one: see `generator.weights.identity_of`
        self._adapters = Adapters(pipeline, backend.name, weights)

    def generate(
        self,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        size: tuple[int, int] = (1024, 1024),
        adapter: str | None = None,
        adapter_scale: float = 1.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Picture:
        """The picture of a prompt: the same for the same arguments on the same machine, whatever was drawn before.

        Args:
            prompt: what to draw; see `generator.vocabulary` for what `small` understands.
            seed: decides what the prompt leaves open, 0 to 2**63 - 1.
            steps: denoising steps, 1 to 200; None: the backend's own number.
            guidance: how closely the prompt is followed, 1 to 20; None: the backend's own measure.
            size: width and height in pixels, 64 to 2048 each. A backend that draws smaller is upscaled (Lanczos).
            adapter: the name of an attached adapter, or None.
            adapter_scale: how much of it, 0 to 4.
            progress: called with (steps done, steps) after each; what it raises passes through, and memory is freed.

        Raises:
            BadAdapter: no adapter of that name is attached.
            ValueError: an argument is out of its bounds.
        """
        steps = self._kind.steps if steps is None else steps
        _check(prompt, seed, steps, guidance, size, adapter_scale)
        started = time.perf_counter()
        try:
            self._adapters.wear(adapter, adapter_scale)
            drawn, truncated = self._drawn(prompt, seed, steps, guidance, size, progress)
        except BaseException:
            self.release()
            raise
        image = drawn if drawn.size == size else ImageOps.fit(drawn, size, Image.Resampling.LANCZOS)
        facts = {
            "backend": self.backend,
            "device": self.device,
            "seed": seed,
            "steps": steps,
            "native_size": list(drawn.size),
            "size": list(size),
            "upscaled_by": round(max(1.0, size[0] / drawn.width, size[1] / drawn.height), 3),
            "adapter": adapter,
            "prompt_truncated": truncated,
            "seconds": round(time.perf_counter() - started, 3),
        }
        return Picture(image, facts)

    def _drawn(
        self, prompt: str, seed: int, steps: int, guidance: float | None, size: tuple[int, int], progress
    ) -> tuple[Image.Image, bool]:
        """The picture as the pipeline draws it, the device having settled; whether some of the prompt was not read."""
        import torch

        def after_step(_pipeline, index: int, _moment, kept: dict) -> dict:
            if progress is not None:
                progress(index + 1, steps)
            return kept

        width, height = self._native(size)
        done = self.pipeline(
            prompt=prompt,
            width=width,
            height=height,
            num_inference_steps=steps,
            **({} if guidance is None else {"guidance_scale": guidance}),
            generator=torch.Generator("cpu").manual_seed(seed),
            callback_on_step_end=after_step,
        )
        device.settle(self.device)
        return done.images[0].convert("RGB"), self._truncated(prompt, done)

    def _truncated(self, prompt: str, done) -> bool:
        """The small model says it; of the others the tokenizer with the longest text decides, they read with both."""
        if hasattr(done, "truncated"):
            return done.truncated
        tokenizer = getattr(self.pipeline, "tokenizer_2", None) or self.pipeline.tokenizer
        longest = 512 if self.backend == "flux" else tokenizer.model_max_length
        return len(tokenizer(prompt)["input_ids"]) > longest

    def _native(self, size: tuple[int, int]) -> tuple[int, int]:
        if self._kind.native is not None:
            return self._kind.native, self._kind.native
        width, height = (-(-side // self._kind.multiple) * self._kind.multiple for side in size)
        return width, height

    def attach(self, name: str, path: str | Path) -> None:
        """Load a LoRA (`.safetensors`) under a name, replacing one of that name.

        Raises:
            BadAdapter: it is none, or another model's; nothing has changed then.
        """
        self._adapters.attach(name, Path(path))

    def detach(self, name: str) -> None:
        """Forget an adapter.

        Raises:
            BadAdapter: there is none of that name.
        """
        self._adapters.detach(name)
        self.release()

    @property
    def attached(self) -> list[str]:
        """The adapters, the least recently used first."""
        return self._adapters.names()

    @property
    def trainable(self) -> bool:
        """Whether `generator.train_adapter` can teach this backend."""
        from generator.lesson import LESSONS

        return self.backend in LESSONS

    def bare(self) -> None:
        """Take every adapter off; they stay attached."""
        self._adapters.wear(None, 0.0)

    def memory(self) -> dict[str, object]:
        """What is held and what is free, in bytes: see `generator.device.memory`."""
        return device.memory(self.device)

    def release(self) -> None:
        """Free what a failed call left."""
        device.clear(self.device)


def loaded(backend: str, weights: str | Path | None, wanted_device: str | None) -> Generator:
    """See `generator.load`."""
    kind = backends.named(backend)
    where = device.chosen(wanted_device)
    return Generator(kind, where, *backends.pipeline_of(kind, weights, where))


def _check(prompt: str, seed: int, steps: int, guidance: float | None, size: tuple[int, int], scale: float) -> None:
    if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > PROMPT_CHARACTERS_MAX:
        raise ValueError(f"prompt must be text of 1 to {PROMPT_CHARACTERS_MAX} characters")
    if not 0 <= seed <= SEED_MAX:
        raise ValueError(f"seed must be 0 to 2**63 - 1, not {seed}")
    if not 1 <= steps <= STEPS_MAX:
        raise ValueError(f"steps must be 1 to {STEPS_MAX}, not {steps}")
    if guidance is not None and not 1 <= guidance <= GUIDANCE_MAX:
        raise ValueError(f"guidance must be 1 to {GUIDANCE_MAX}, not {guidance}")
    if len(size) != 2 or not all(SIDE_MIN <= side <= SIDE_MAX for side in size):
        raise ValueError(f"size must be width and height of {SIDE_MIN} to {SIDE_MAX} pixels, not {tuple(size)}")
    if not 0 <= scale <= SCALE_MAX:
        raise ValueError(f"adapter_scale must be 0 to {SCALE_MAX}, not {scale}")
