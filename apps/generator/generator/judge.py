"""A judge that was never shown a picture of the model: a small network that reads what is on a picture, trained on
the script's drawings alone. `python -m generator.judge --out judge.pt`"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from generator import words
from generator.drawing import portrait, scene
from generator.words import Portrait, Scene, some_portrait, some_scene

SIDE = 64  # pixels of a side that it looks at
SCENE_HEADS = {
    "kind": list(words.SCENES),
    "time": list(words.TIMES),
    "sky": list(words.SKIES),
    "subject": ["", *words.SUBJECTS, "lighthouse", "hot-air balloon"],
    "colour": ["", *words.COLOURS],
}
PORTRAIT_HEADS = {
    "hair": list(words.HAIR_COLOURS),
    "length": list(words.HAIR_LENGTHS),
    "skin": list(words.SKINS),
    "background": list(words.BACKGROUNDS),
    "clothes": list(words.CLOTHES),
    "glasses": [False, True],
}
STRANGERS = ("lighthouse", "hot-air balloon")
HEADS = {**SCENE_HEADS, **PORTRAIT_HEADS}
IGNORED = -100


class Judge(nn.Module):
    """Pictures (n x 3 x 64 x 64, -1..1) to the scores of each head's words."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.GELU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(128 * 16, 192), nn.GELU())
        self.heads = nn.ModuleDict({name: nn.Linear(192, len(said)) for name, said in HEADS.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(pictures)
        return {name: head(features) for name, head in self.heads.items()}


def seen(picture: Image.Image) -> torch.Tensor:
    """A picture as the judge takes it."""
    small = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    return torch.from_numpy(small / 127.5 - 1).permute(2, 0, 1)


def answers(description: Scene | Portrait, stranger: str = "") -> list[int]:
    """The right word of each head, by number; IGNORED where the head is not asked."""
    heads = SCENE_HEADS if isinstance(description, Scene) else PORTRAIT_HEADS
    right = {name: getattr(description, name) for name in heads}
    if stranger:
        right.update(subject=stranger, colour="")
    return [HEADS[name].index(right[name]) if name in right else IGNORED for name in HEADS]


def example(rng: np.random.Generator) -> tuple[torch.Tensor, list[int]]:
    """A drawing, a little blurred or not, and what is on it."""
    if rng.random() < 0.35:
        description, stranger = some_portrait(rng), ""
        drawing = portrait.draw(description, rng)
    else:
        description, stranger = some_scene(rng), str(rng.choice(STRANGERS)) if rng.random() < 0.2 else ""
        drawing = scene.draw(description, rng, stranger)
    if rng.random() < 0.5:
        side = int(rng.integers(32, 100))
        drawing = drawing.resize((side, side), Image.Resampling.BILINEAR)
    return seen(drawing), answers(description, stranger)


def train(pictures: int, epochs: int, seed: int) -> Judge:
    """A trained judge."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    made = [example(rng) for _ in tqdm(range(pictures), "drawing", mininterval=5)]
    inputs, right = torch.stack([one for one, _ in made]), torch.tensor([said for _, said in made])
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (pictures // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in tqdm(range(steps), "learning", mininterval=5):
        rows = torch.randint(pictures, (64,))
        noisy = inputs[rows] + 0.05 * torch.randn(64, 3, SIDE, SIDE)
        scores = judge(noisy)
        losses = [nn.functional.cross_entropy(scores[name], right[rows, at]) for at, name in enumerate(HEADS)]
        torch.stack(losses).nan_to_num().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return judge.eval()


@torch.inference_mode()
def read(judge: Judge, pictures: list[Image.Image]) -> list[dict[str, object]]:
    """What the judge sees on each picture: a word of every head."""
    scores = judge(torch.stack([seen(one) for one in pictures]))
    return [{name: HEADS[name][int(scores[name][row].argmax())] for name in HEADS} for row in range(len(pictures))]


def main() -> None:
    """Train a judge and say how often it is right on drawings that it has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    judge = train(given.pictures, given.epochs, given.seed)
    torch.save(judge.state_dict(), given.out)
    rng = np.random.default_rng(given.seed + 1)
    fresh = [example(rng) for _ in range(600)]
    with torch.inference_mode():
        scores = judge(torch.stack([one for one, _ in fresh]))
    right = torch.tensor([said for _, said in fresh])
    for at, name in enumerate(HEADS):
        asked = right[:, at] != IGNORED
        share = (scores[name].argmax(1)[asked] == right[asked, at]).float().mean()
        print(f"{name:12} {share:.1%} of {int(asked.sum())} drawings")


if __name__ == "__main__":
    main()
