"""The tasks. `STUDIO_*` variables choose the backend; one that cannot be loaded fails the load: no other stands in."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import generator
from PIL import Image

from studio.adapters import Adapters, kept_max_of
from studio.checkpoints import Checkpoint, checkpoints_at, name_of
from studio.errors import Stopped, TrainingUnavailable
from studio.picture import png
from studio.pictures import read_pictures

SEED_MAX = 2**32 - 1


class Studio:
    """One model, one job at a time: a picture is made on nobody else's buffers, and leaves when it is whole."""

    def __init__(self) -> None:
        self._model = generator.load(
            backend=os.environ.get("STUDIO_BACKEND", "small"),
            weights=os.environ.get("STUDIO_WEIGHTS") or None,
            device=os.environ.get("STUDIO_DEVICE") or None,
        )
        print(f"generator {self._model.backend} loaded on {self._model.device}")
        self._adapters = Adapters(self._model, kept_max_of(os.environ.get("STUDIO_ADAPTERS_KEPT", "")))
        self._checkpoints = checkpoints_at(os.environ.get("STUDIO_CHECKPOINTS", ""))

    def inference(
        self,
        prompt: str,
        context: Any,
        width: int,
        height: int,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        lora_path: Path | None = None,
        lora_scale: float = 1.0,
    ) -> dict[str, Any]:
        """A picture of the prompt; with `lora_path` the adapter is attached first."""
        started = time.monotonic()
        adapter = None if lora_path is None else self._adapters.ready(lora_path)
        made = self._made(
            lambda: self._model.generate(
                prompt,
                seed=secrets.randbelow(SEED_MAX + 1) if seed is None else seed,
                steps=num_inference_steps,
                guidance=guidance_scale,
                size=(width, height),
                adapter=adapter,
                adapter_scale=lora_scale,
                progress=_looking(context),
            )
        )
        facts = {name: value for name, value in made.facts.items() if name not in ("seconds", "adapter")}
        facts |= {"adapter": adapter} | ({} if adapter is None else {"lora_scale": lora_scale})
        return {
            "status": "success",
            "task": "inference",
            **facts,
            "image": self._file(made.image, {"prompt": prompt, **facts}),
            "seconds": round(time.monotonic() - started, 3),
        }

    def train(
        self,
        subject: str,
        pictures: Path,
        context: Any,
        steps: int,
        rank: int,
        seed: int,
        resume: bool = True,
    ) -> dict[str, Any]:
        """An adapter for the subject. Stopped on the way, the same training goes on from its last checkpoint."""
        started = time.monotonic()
        if not self._model.trainable:
            raise TrainingUnavailable(f"adapters for the backend {self._model.backend} are not trained here")
        shown = read_pictures(pictures)
        settings = {"subject": subject, "steps": steps, "rank": rank, "seed": seed, "backend": self._model.backend}
        with pictures.open("rb") as file:
            shown_hash = hashlib.file_digest(file, "sha256").hexdigest()
        name = name_of({**settings, "weights": self._model.weights, "pictures": shown_hash})
        with self._checkpoints.open(name, resume) as checkpoint:
            told = _Training(context, checkpoint, steps)
            adapter = self._made(
                lambda: generator.train_adapter(
                    self._model,
                    shown,
                    subject,
                    steps=steps,
                    seed=seed,
                    rank=rank,
                    checkpoint=checkpoint.path,
                    progress=told,
                )
            )
        return {
            "status": "success",
            "task": "train",
            **settings,
            "device": self._model.device,
            "pictures": len(shown),
            "resumed_from": told.resumed_from,
            "loss": told.loss,
            "adapter": adapter,
            "seconds": round(time.monotonic() - started, 3),
        }

    def _file(self, image: Image.Image, facts: dict[str, Any]) -> bytes:
        return png(image, facts)

    def _made(self, make: Callable[[], Any]) -> Any:
        """What it makes; a failure leaves no memory behind."""
        try:
            return make()
        except BaseException:
            self._model.release()
            raise


class _Training:
    """Hears of each step: tells how far it is, keeps the checkpoint, and stops when it is asked to."""

    def __init__(self, context: Any, checkpoint: Checkpoint, steps: int) -> None:
        self._context = context
        self._checkpoint = checkpoint
        self._first: int | None = None
        self._steps = steps
        self.loss: float | None = None

    def __call__(self, step: int, steps: int, loss: float) -> None:
        self._first = step if self._first is None else self._first
        self.loss = round(float(loss), 6)
        self._checkpoint.keep()
        self._context.progress({"step": step, "steps": steps, "loss": self.loss, "resumed_from": self.resumed_from})
        if self._context.cancelled:
            raise Stopped(f"training stopped after step {step} of {steps}")

    @property
    def resumed_from(self) -> int:
        """The step of the checkpoint that it began with; 0: with none."""
        return self._steps if self._first is None else self._first - 1


def _looking(context: Any) -> Callable[[int, int], None]:
    def step(done: int, steps: int) -> None:
        context.progress({"step": done, "steps": steps})
        if context.cancelled:
            raise Stopped(f"the picture was stopped after step {done} of {steps}")

    return step
