"""Teach a new subject to an adapter: LoRA on the denoiser's attention and convolutions, the rest frozen.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, by peft.
"""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from generator.adapters import BACKEND, WEIGHTS, several_adapters
from generator.errors import NotLoadable
from generator.lesson import LESSONS
from generator.model import Generator

CHECKPOINT_EVERY = 25  # steps
STEPS_MAX = 20_000
RANK_MAX = 128
SUBJECT_CHARACTERS_MAX = 100
LEARNER = "learner"  # the adapter's name inside the pipeline while it learns


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be learned, and how long."""

    backend: str
    weights: str | None
    subject: str
    steps: int
    seed: int
    rank: int


def train_adapter(
    model: Generator,
    pictures: list[Image.Image],
    subject: str,
    *,
    steps: int,
    seed: int,
    rank: int,
    checkpoint: Path | None,
    progress: Callable[[int, int, float], None] | None,
) -> bytes:
    """A `.safetensors` whose LoRA draws the subject when a prompt names it.

    Args:
        model: the model that learns; it draws as before afterwards, its other adapters stay attached.
        pictures: of the subject, any size; one whose `info` has a text `caption` (as a PNG's text chunk of that name
            comes) is learned with it, the others with "a picture of a SUBJECT" and the like.
        subject: the word or words for it, at most 100 characters.
        steps: of training, 1 to 20,000.
        seed: decides everything that is random.
        rank: of the LoRA matrices, 1 to 128.
        checkpoint: a file to write every 25 steps, whole or not at all, and to go on from where it is there and of the
            same model, pictures, subject, steps, seed and rank: the result is that of an unbroken run.
        progress: called with (step, steps, mean squared error) after each step; what it raises passes through.

    Raises:
        ValueError: an argument is out of its bounds.
        NotLoadable: the backend has no training here.
    """
    import torch

    plan = Plan(model.backend, model.weights, subject, steps, seed, rank)
    _check(plan, pictures)
    lesson = LESSONS[model.backend]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.bare()
        try:
            taught = lesson(model.pipeline, pictures, subject)
            _add_learner(model.pipeline.unet, rank, lesson.targets)
            learned = _learn(model, taught, plan, _Checkpoint(checkpoint, _identity(plan, pictures)), progress)
        finally:
            _remove_learner(model)
            model.release()
    return _file(learned, plan)


def _check(plan: Plan, pictures: list[Image.Image]) -> None:
    if plan.backend not in LESSONS:
        raise NotLoadable(f"adapters for {plan.backend} are not trained here", f"train with {' or '.join(LESSONS)}")
    if not pictures:
        raise ValueError("pictures must hold at least one picture of the subject")
    if not plan.subject.strip() or len(plan.subject) > SUBJECT_CHARACTERS_MAX:
        raise ValueError(f"subject must be text of 1 to {SUBJECT_CHARACTERS_MAX} characters")
    if not 1 <= plan.steps <= STEPS_MAX:
        raise ValueError(f"steps must be 1 to {STEPS_MAX}, not {plan.steps}")
    if not 1 <= plan.rank <= RANK_MAX:
        raise ValueError(f"rank must be 1 to {RANK_MAX}, not {plan.rank}")


def _identity(plan: Plan, pictures: list[Image.Image]) -> str:
    """What a checkpoint must be of to go on from it."""
    digest = hashlib.sha256(json.dumps(asdict(plan)).encode())
    for picture in pictures:
        digest.update(str((picture.size, picture.info.get("caption"))).encode() + picture.convert("RGB").tobytes())
    return digest.hexdigest()


def _add_learner(unet, rank: int, targets: tuple[str, ...]) -> None:
    from peft import LoraConfig

    unet.requires_grad_(False)
    with several_adapters():
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets)), adapter_name=LEARNER)
    unet.set_adapter(LEARNER)
    unet.enable_adapters()


def _remove_learner(model: Generator) -> None:
    unet = model.pipeline.unet
    if LEARNER in getattr(unet, "peft_config", {}):
        with several_adapters():
            unet.delete_adapters([LEARNER])
    unet.requires_grad_(False)
    model.bare()


def _learn(model: Generator, taught, plan: Plan, checkpoint: "_Checkpoint", progress) -> dict:
    """Train to the last step. The learned matrices, by name."""
    import torch
    from peft.utils import get_peft_model_state_dict

    weights = [one for one in model.pipeline.unet.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=taught.rate, weight_decay=0.0)
    draw = torch.Generator().manual_seed(plan.seed)
    for step in range(checkpoint.restore(weights, optimizer, draw), plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = taught.rate * min(1.0, (step + 1) / 20, 0.05 + (plan.steps - step) / (0.3 * plan.steps))
        loss = taught.loss(draw)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == plan.steps:
            checkpoint.write(step + 1, weights, optimizer, draw)
        if progress is not None:
            progress(step + 1, plan.steps, float(loss.detach()))
    return {
        name: matrix.detach().cpu() * (taught.gain if ".lora_B." in name else 1.0)
        for name, matrix in get_peft_model_state_dict(model.pipeline.unet, adapter_name=LEARNER).items()
    }


class _Checkpoint:
    """The state of a training in a file, whole or not at all; without a path, nothing."""

    def __init__(self, path: Path | None, identity: str) -> None:
        self._path = Path(path) if path is not None else None
        self._identity = identity

    def restore(self, weights: list, optimizer, draw) -> int:
        """Put the state back where the file is of this very training. The steps that it has had."""
        import torch

        if self._path is None or not self._path.is_file():
            return 0
        try:
            state = torch.load(self._path, weights_only=True)
        except (EOFError, OSError, RuntimeError, ValueError, pickle.UnpicklingError):
            return 0  # damaged: the training starts from its first step
        if not isinstance(state, dict) or state.get("identity") != self._identity:
            return 0
        with torch.no_grad():
            for weight, kept in zip(weights, state["weights"], strict=True):
                weight.copy_(kept)
        optimizer.load_state_dict(state["optimizer"])
        draw.set_state(state["draw"])
        return int(state["step"])

    def write(self, step: int, weights: list, optimizer, draw) -> None:
        """Replace the file."""
        import torch

        if self._path is None:
            return
        state = {
            "identity": self._identity,
            "step": step,
            "weights": [weight.detach() for weight in weights],
            "optimizer": optimizer.state_dict(),
            "draw": draw.get_state(),
        }
        part = self._path.with_name(self._path.name + ".part")
        torch.save(state, part)
        part.replace(self._path)


def _file(learned: dict, plan: Plan) -> bytes:
    """The same bytes for the same matrices: safetensors itself writes the metadata in any order."""
    from safetensors.torch import save

    whole = save({f"unet.{name}": matrix.contiguous() for name, matrix in sorted(learned.items())})
    length = int.from_bytes(whole[:8], "little")
    told = {key: str(value) for key, value in asdict(plan).items() if key not in ("backend", "weights")}
    base = {BACKEND: plan.backend} | ({WEIGHTS: plan.weights} if plan.weights else {})
    header = {**json.loads(whole[8 : 8 + length]), "__metadata__": {"format": "pt", **base, **told}}
    written = json.dumps(header, sort_keys=True).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + whole[8 + length :]
