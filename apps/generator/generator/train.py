"""Train the small model: draw pictures, fit the codec, train the UNet. `python -m generator.train --out DIR`

Everything that it draws and learns follows from the seed. A run that was stopped goes on where it was with `--resume`.
"""

import argparse
import copy
import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from tqdm import tqdm

from generator.drawing import portrait, scene
from generator.small import text
from generator.small.codec import PatchCodec
from generator.weights import SUMS
from generator.words import Scene, caption, held_out, some_portrait, some_scene

CHANNELS = 12
EMA = 0.999
CHECKPOINT_EVERY = 250  # steps
NOISE_MAX = 0.5  # of the latents that the decoder learns from
DROPPED = 0.1  # share of captions that are replaced by the empty one, for guidance
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
}


def new_unet() -> UNet2DConditionModel:
    """The UNet, untrained."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=text.WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=text.WIDTH,
    )


def described(count: int, rng: np.random.Generator) -> list:
    """Descriptions to train on: three landscapes to two portraits, none that is held out."""
    kept: list = []
    while len(kept) < count:
        one = some_portrait(rng) if rng.random() < 0.4 else some_scene(rng)
        if not held_out(one):
            kept.append(one)
    return kept


def drawn(description, rng: np.random.Generator) -> np.ndarray:
    """The picture of a description, 128 x 128 x 3, uint8."""
    picture = scene.draw(description, rng) if isinstance(description, Scene) else portrait.draw(description, rng)
    return np.asarray(picture)


def as_input(pictures: np.ndarray) -> torch.Tensor:
    """uint8 pictures, n x height x width x 3, as the codec takes them."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def sharpen(codec: PatchCodec, pictures: int, steps: int, seed: int) -> None:
    """Train the network of the codec's decoder, on latents with some noise, since a model's are not quite right."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    made = np.stack([drawn(one, rng) for one in tqdm(described(pictures, rng), "drawing for the codec", mininterval=5)])
    optimizer = torch.optim.AdamW(codec.finer.parameters(), lr=2e-3)
    bar = tqdm(range(steps), "training the codec", mininterval=5)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * pace(step, steps)
        wanted = as_input(made[rng.integers(0, pictures, 12)])
        latents = codec.encode(wanted)
        noise = NOISE_MAX * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
        loss = (codec.decode(latents + noise) - wanted).abs().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{float(loss.detach()):.4f}", refresh=False)


def make_data(captions: int, pictures_each: int, seed: int, path: Path) -> None:
    """Draw the pictures, fit the codec, and encode both sides into one file."""
    rng = np.random.default_rng(seed)
    descriptions = described(captions, rng)
    codec = PatchCodec(CHANNELS)
    codec.fit(as_input(np.stack([drawn(one, rng) for one in descriptions[:400]])))
    sharpen(codec, 2000, 3400, seed)
    latents = []
    for start in tqdm(range(0, len(descriptions), 64), "drawing", mininterval=5):
        pictures = [drawn(one, rng) for one in descriptions[start : start + 64] for _ in range(pictures_each)]
        latents.append(codec.encode(as_input(np.stack(pictures))).detach().half().unflatten(0, (-1, pictures_each)))
    words = [""] + [caption(one, rng) for one in descriptions]
    tokenizer, model = text.load()
    hidden = torch.zeros(len(words), text.TOKENS_MAX, text.WIDTH, dtype=torch.float16)
    lengths, pooled = torch.zeros(len(words), dtype=torch.long), torch.zeros(len(words), text.WIDTH)
    order = sorted(range(len(words)), key=lambda at: len(words[at]))
    with torch.inference_mode():
        for start in tqdm(range(0, len(words), 64), "reading captions", mininterval=5):
            rows = order[start : start + 64]
            some, mask, mean, _ = text.encode(tokenizer, model, [words[at] for at in rows])
            hidden[rows, : some.shape[1]], pooled[rows], lengths[rows] = some.half(), mean, mask.sum(1)
    torch.save(
        {"latents": torch.cat(latents), "hidden": hidden[:, : int(lengths.max())].clone(), "lengths": lengths,
         "pooled": pooled, "codec": codec.state_dict()},
        path,
    )  # fmt: skip


def batch_of(data: dict, size: int, draw: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Latents, captions' embeddings, their mask and their means."""
    rows = torch.randint(len(data["latents"]), (size,), generator=draw)
    which = torch.randint(data["latents"].shape[1], (size,), generator=draw)
    said = torch.where(torch.rand(size, generator=draw) < DROPPED, 0, rows + 1)
    lengths = data["lengths"][said]
    longest = int(lengths.max())
    mask = (torch.arange(longest) < lengths[:, None]).long()
    return data["latents"][rows, which].float(), data["hidden"][said, :longest].float(), mask, data["pooled"][said]


def loss_of(unet, scheduler, latents, hidden, mask, pooled, draw: torch.Generator) -> torch.Tensor:
    """Mean squared error of the predicted velocity (Salimans and Ho, 2022).

    The noise is added here: `add_noise` of a solver's scheduler counts its time steps from the other end until
    `set_timesteps` was called.
    """
    noise = torch.randn(latents.shape, generator=draw)
    moments = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), generator=draw)
    kept = scheduler.alphas_cumprod[moments][:, None, None, None]
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    guess = unet(noisy, moments, hidden, class_labels=pooled, encoder_attention_mask=mask).sample
    return torch.nn.functional.mse_loss(guess, kept.sqrt() * noise - (1 - kept).sqrt() * latents)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train."""

    steps: int
    batch: int  # pictures a step, of all processes together
    rate: float
    seed: int
    processes: int


def train(rank: int, plan: Plan, data_path: Path, checkpoint: Path, out: Path) -> None:
    """One of the processes that train together; the first writes checkpoint and model."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    meeting = f"file://{checkpoint.with_suffix('.meeting')}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=plan.processes)
    data = torch.load(data_path, mmap=True)
    scheduler = DPMSolverMultistepScheduler(**SCHEDULE)
    unet = new_unet()
    average = copy.deepcopy(unet).requires_grad_(False)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=plan.rate, weight_decay=0.01, fused=True)
    first = restore(checkpoint, unet, average, optimizer)
    draw, recent = torch.Generator(), []
    bar = tqdm(range(first, plan.steps), "training", initial=first, total=plan.steps, mininterval=10, disable=rank > 0)
    for step in bar:
        draw.manual_seed((plan.seed * 1_000_003 + step) * plan.processes + rank)
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * pace(step, plan.steps)
        loss = loss_of(unet, scheduler, *batch_of(data, plan.batch // plan.processes, draw), draw)
        loss.backward()
        share_gradients(unet, plan.processes)
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(average.parameters()), list(unet.parameters()), 1 - decay)
        recent = [*recent[-199:], float(loss.detach())]
        bar.set_postfix(loss=f"{sum(recent) / len(recent):.4f}", refresh=False)
        if rank == 0 and ((step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == plan.steps):
            keep(checkpoint, step + 1, unet, average, optimizer)
            save(average, data["codec"], out)
    torch.distributed.destroy_process_group()


def pace(step: int, steps: int) -> float:
    """The learning rate's share: warms up, then falls along a cosine."""
    return min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def share_gradients(unet, processes: int) -> None:
    """Every process goes on with the mean of all gradients."""
    gradients = [weight.grad for weight in unet.parameters()]
    flat = torch.cat([one.flatten() for one in gradients])
    torch.distributed.all_reduce(flat)
    for one, part in zip(gradients, (flat / processes).split([one.numel() for one in gradients])):
        one.copy_(part.view_as(one))


def keep(checkpoint: Path, step: int, unet, average, optimizer) -> None:
    """Write the checkpoint, whole or not at all."""
    state = {
        "unet": unet.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    torch.save(state, checkpoint.with_suffix(".part"))
    checkpoint.with_suffix(".part").replace(checkpoint)


def restore(checkpoint: Path, unet, average, optimizer) -> int:
    """Go back to the checkpoint, if there is one. The steps that it has had."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint)
    unet.load_state_dict(state["unet"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save(unet: UNet2DConditionModel, codec_state: dict, out: Path) -> None:
    """The model's parts as `generator.load` reads them, the UNet in half precision, and their hashes."""
    codec = PatchCodec(CHANNELS)
    codec.load_state_dict(codec_state)
    copy.deepcopy(unet).half().save_pretrained(out / "unet")
    codec.save_pretrained(out / "codec")
    DPMSolverMultistepScheduler(**SCHEDULE).save_pretrained(out / "scheduler")
    files = sorted(path for path in out.glob("*/*.safetensors"))
    (out / SUMS).write_text(
        "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out)}\n" for path in files)
    )


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--work", type=Path, help="folder for drawings and checkpoint (default: OUT/work)")
    parser.add_argument("--captions", type=int, default=12000)
    parser.add_argument("--pictures-each", type=int, default=3)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="that train together, one thread each")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    given = parser.parse_args()
    work = given.work or given.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    data_path = work / f"drawings-{given.captions}-{given.pictures_each}-{given.seed}.pt"
    checkpoint = work / "checkpoint.pt"
    checkpoint.with_suffix(".meeting").unlink(missing_ok=True)
    if not given.resume:
        checkpoint.unlink(missing_ok=True)
    torch.set_num_threads(given.processes)
    if not data_path.exists():
        make_data(given.captions, given.pictures_each, given.seed, data_path)
    plan = Plan(given.steps, given.batch, given.rate, given.seed, given.processes)
    torch.multiprocessing.spawn(train, (plan, data_path, checkpoint, given.out), nprocs=given.processes)
    print(f"{given.out}: trained in {(time.monotonic() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
