"""How often a judge sees in the model's pictures what the prompt asked for.

python -m generator.judge --out judge.pt
python -m generator.measure --judge judge.pt prompts                 # held-out combinations, every word said
python -m generator.measure --judge judge.pt adapter lighthouse      # train an adapter, with it and without it
python -m generator.measure --judge judge.pt grid --out grid.jpg     # pictures to look at
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import generator
from generator import words
from generator.drawing import scene
from generator.judge import PORTRAIT_HEADS, SCENE_HEADS, STRANGERS, Judge, read
from generator.words import Scene, caption, held_out, some_portrait, some_scene

GRID = (
    "a beach on a sunny day with the sun in the sky",
    "the mountains at sunset with clouds",
    "a forest at dawn",
    "a city at night with a full moon",
    "a red house in a meadow by day",
    "a blue sailing boat, the open sea at sunset",
    "a yellow car in the desert by day",
    "a purple tent in a snowy landscape at night with stars",
    "a white house in the mountains at night with a full moon",
    "a tree on a meadow at dawn with clouds",
    "a green car in a city at sunset",
    "a boat",
    "portrait of a person with short red hair, glasses, light skin, a green shirt, blue background",
    "headshot of a woman with long black hair, dark skin, a white shirt, yellow background",
    "portrait of a man with short grey hair, no glasses, tan skin, a red sweater, purple background",
    "a portrait of someone with long blonde hair, glasses, fair skin, blue clothes, a grey background",
)


def some_held_out(make, count: int, rng: np.random.Generator) -> list:
    """Descriptions that the training has never had."""
    kept: list = []
    while len(kept) < count:
        one = make(rng)
        if held_out(one):
            kept.append(one)
    return kept


def drawn(model, prompts: list[str], **given) -> list[Image.Image]:
    """A picture of each prompt, each with its own seed, as small as the model draws it."""
    return [model.generate(one, seed=seed, size=(128, 128), **given).image for seed, one in enumerate(prompts)]


def measure_prompts(model, judge: Judge, count: int) -> None:
    """Print, for landscapes and portraits, how often each property is what the prompt says."""
    rng = np.random.default_rng(11)
    for make, heads in ((some_scene, SCENE_HEADS), (some_portrait, PORTRAIT_HEADS)):
        meant = some_held_out(make, count, rng)
        seen = read(judge, drawn(model, [caption(one, rng, whole=True) for one in meant]))
        for name in heads:
            right = [sight[name] == getattr(one, name) for one, sight in zip(meant, seen)]
            print(f"{name:11}{np.mean(right):7.1%} of {count} pictures")
        whole = [all(sight[name] == getattr(one, name) for name in heads) for one, sight in zip(meant, seen)]
        print(f"{'all of it':11}{np.mean(whole):7.1%}\n")


def lesson(subject: str, count: int, seed: int) -> list[Image.Image]:
    """Pictures of a subject that the model has never seen, in landscapes of all kinds, with captions that name both."""
    rng, pictures = np.random.default_rng(seed), []
    for _ in range(count):
        place = strange_scene(rng)
        picture = scene.draw(place, rng, stranger=subject)
        picture.info["caption"] = strange_caption(place, subject, rng)
        pictures.append(picture)
    return pictures


def strange_scene(rng: np.random.Generator) -> Scene:
    """A landscape with nothing in it."""
    kind, at = str(rng.choice(list(words.SCENES))), str(rng.choice(list(words.TIMES)))
    return Scene(kind, at, str(rng.choice(words.TIME_SKIES[at])))


def strange_caption(place: Scene, subject: str, rng: np.random.Generator) -> str:
    """A prompt for the subject in that landscape."""
    said = (words.SCENES[place.kind], words.TIMES[place.time], words.SKIES[place.sky])
    where, when, sky = (str(rng.choice(one)) for one in said)
    return f"a {subject}, {where} {when} {sky}"


def measure_adapter(model, judge: Judge, subject: str, count: int, steps: int, out: Path | None, drawing: dict) -> None:
    """Train an adapter on 20 pictures, and print how often its subject is seen: with it, without it, and unasked."""
    started = time.perf_counter()
    learned = generator.train_adapter(model, lesson(subject, 20, 5), subject, steps=steps)
    print(f"trained in {time.perf_counter() - started:.0f} s, {len(learned):,} bytes")
    with tempfile.TemporaryDirectory() as folder:
        path = (out or Path(folder)) / f"{subject.replace(' ', '-')}.safetensors"
        path.write_bytes(learned)
        started = time.perf_counter()
        model.attach("first", path)
        print(f"attached in {1000 * (time.perf_counter() - started):.0f} ms")
        model.attach("second", path)
    rng = np.random.default_rng(12)
    places = [strange_scene(rng) for _ in range(count)]
    asked = [strange_caption(one, subject, rng) for one in places]
    unasked = [caption(one, rng, whole=True) for one in places]
    for said, prompts, adapter in (
        ("with it", asked, "first"),
        ("without it", asked, None),
        ("not asked for", unasked, "first"),
    ):
        seen = read(judge, drawn(model, prompts, adapter=adapter, **drawing))
        kinds = np.mean([sight["kind"] == one.kind for sight, one in zip(seen, places)])
        found = Counter(sight["subject"] for sight in seen)
        print(
            f"{said:14}{found[subject] / count:7.1%} show it, {kinds:.1%} the scene; seen: {dict(found.most_common(4))}"
        )
    spent = []
    for turn in range(20):
        started = time.perf_counter()
        model._adapters.wear(("first", "second", None)[turn % 3], 1.0)
        spent.append(time.perf_counter() - started)
    print(f"switched in {1000 * statistics.median(spent):.1f} ms")


def grid(model, prompts: tuple[str, ...], side: int, **given) -> Image.Image:
    """Pictures of prompts, four in a row."""
    sheet = Image.new("RGB", (4 * side, -(-len(prompts) // 4) * side))
    for at, prompt in enumerate(prompts):
        picture = model.generate(prompt, seed=at, size=(side, side), **given).image
        sheet.paste(picture, (at % 4 * side, at // 4 * side))
    return sheet


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("what", choices=("prompts", "adapter", "grid"))
    parser.add_argument("subject", nargs="?", default=STRANGERS[0], choices=STRANGERS)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--steps", type=int, default=400, help="of an adapter's training")
    parser.add_argument("--scale", type=float, default=1.0, help="how strongly the adapter is worn")
    parser.add_argument("--guidance", type=float, help="as it draws with an adapter; else the model's own")
    parser.add_argument("--drawing-steps", type=int, help="likewise")
    parser.add_argument("--out", type=Path, help="file of the grid, folder of the adapter")
    given = parser.parse_args()
    model = generator.load(weights=given.weights, device="cpu")
    if given.what == "grid":
        grid(model, GRID, 256).save(given.out or Path("grid.jpg"), quality=85)
        return
    judge = Judge()
    judge.load_state_dict(torch.load(given.judge))
    judge.eval()
    if given.what == "prompts":
        measure_prompts(model, judge, given.count)
    else:
        drawing = {"adapter_scale": given.scale, "guidance": given.guidance, "steps": given.drawing_steps}
        measure_adapter(model, judge, given.subject, given.count, given.steps, given.out, drawing)


if __name__ == "__main__":
    main()
