"""What the small model understands: the words, and the grammar of the captions that it learned from.

A description (`Scene`, `Portrait`) is what a picture shows; `caption` says it in one of many ways, leaving some of it
out at random, so that a prompt that names only a part of it is understood too.
"""

import hashlib
from dataclasses import astuple, dataclass

import numpy as np

SCENES = {
    "beach": ("a beach", "a sandy beach", "the seaside", "a beach by the sea"),
    "mountains": ("the mountains", "snowy mountain peaks", "a mountain landscape", "mountains"),
    "forest": ("a forest", "a pine forest", "the woods", "a dense forest"),
    "city": ("a city", "a city skyline", "downtown with tall buildings", "a big city"),
    "desert": ("a desert", "sand dunes in the desert", "the desert", "a hot desert"),
    "sea": ("the open sea", "the ocean", "the sea", "ocean waves"),
    "meadow": ("a meadow", "a green meadow with flowers", "grassy hills", "a field of grass"),
    "snow": ("a snowy landscape", "snow covered hills", "a winter landscape", "deep snow in winter"),
}
TIMES = {
    "day": ("by day", "on a sunny day", "in daylight", "at noon"),
    "sunset": ("at sunset", "in the evening", "under an orange sunset", "at dusk"),
    "night": ("at night", "by night", "in the dark night", "at midnight"),
    "dawn": ("at dawn", "at sunrise", "in the early morning", "in pink morning light"),
}
SKIES = {
    "clear": ("under a clear sky", "with a clear sky"),
    "clouds": ("with clouds", "under a cloudy sky", "with white clouds in the sky"),
    "sun": ("with the sun in the sky", "with a big sun", "and the sun"),
    "moon": ("with a full moon", "under the moon", "with the moon in the sky"),
    "stars": ("with stars", "under a starry sky", "with many stars"),
}
SUBJECTS = {
    "house": ("house", "cottage", "little house"),
    "tree": ("tree", "big tree", "leafy tree"),
    "boat": ("boat", "sailing boat", "sailboat"),
    "car": ("car", "automobile", "small car"),
    "tent": ("tent", "camping tent", "tent"),
}
COLOURS = ("red", "yellow", "green", "blue", "purple", "white")  # of a house, boat, car or tent
STYLES = ("", "", "", "a picture of ", "a painting of ", "a photo of ", "an illustration of ")

HAIR_COLOURS = ("black", "brown", "blonde", "red", "grey")
HAIR_LENGTHS = ("short", "long")
SKINS = {"light": ("light skin", "fair skin"), "tan": ("tan skin", "olive skin"), "dark": ("dark skin", "brown skin")}
BACKGROUNDS = ("red", "orange", "yellow", "green", "blue", "purple", "grey")
CLOTHES = ("red", "yellow", "green", "blue", "purple", "white", "black")
PERSONS = ("a person", "someone", "a woman", "a man")

TIME_SKIES = {
    "day": ("clear", "clouds", "sun"),
    "sunset": ("clear", "clouds", "sun"),
    "dawn": ("clear", "clouds", "sun"),
    "night": ("moon", "stars"),
}
SCENE_SUBJECTS = {
    "beach": ("", "house", "tree", "boat", "tent"),
    "sea": ("", "boat"),
    "city": ("", "car", "tree", "house"),
}
LAND_SUBJECTS = ("", "house", "tree", "car", "tent")
HELD_OUT_ONE_IN = 12


@dataclass(frozen=True, slots=True)
class Scene:
    """A landscape: its kind, the time of day, the sky, and what stands in it (`""` for nothing), of what colour."""

    kind: str
    time: str
    sky: str
    subject: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A head and shoulders."""

    hair: str
    length: str
    skin: str
    background: str
    clothes: str
    glasses: bool


def some_scene(rng: np.random.Generator) -> Scene:
    """Any landscape; three in four have a subject."""
    kind, time = str(rng.choice(list(SCENES))), str(rng.choice(list(TIMES)))
    subjects = SCENE_SUBJECTS.get(kind, LAND_SUBJECTS)
    subject = str(rng.choice(subjects[1:])) if rng.random() < 0.75 else ""
    colour = str(rng.choice(COLOURS)) if subject not in ("", "tree") else ""
    return Scene(kind, time, str(rng.choice(TIME_SKIES[time])), subject, colour)


def some_portrait(rng: np.random.Generator) -> Portrait:
    """Any portrait."""
    return Portrait(
        *(str(rng.choice(words)) for words in (HAIR_COLOURS, HAIR_LENGTHS, list(SKINS), BACKGROUNDS, CLOTHES)),
        glasses=bool(rng.random() < 0.5),
    )


def held_out(description: Scene | Portrait) -> bool:
    """Whether this combination is kept from the training, to be judged by."""
    said = "|".join(str(part) for part in astuple(description))
    return int(hashlib.sha256(said.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0


def caption(description: Scene | Portrait, rng: np.random.Generator, whole: bool = False) -> str:
    """One way to say it.

    Args:
        description: what is shown.
        rng: decides the words.
        whole: nothing is left out.
    """
    if isinstance(description, Scene):
        return _scene_caption(description, rng, whole)
    return _portrait_caption(description, rng, whole)


def _scene_caption(scene: Scene, rng: np.random.Generator, whole: bool) -> str:
    def one(words: tuple[str, ...]) -> str:
        return str(rng.choice(words))

    place, time = one(SCENES[scene.kind]), one(TIMES[scene.time])
    sky = one(SKIES[scene.sky]) if whole or rng.random() < 0.75 else ""
    if not whole and scene.time == "day" and rng.random() < 0.4:
        time = ""
    if not scene.subject:
        parts = [place, time, sky] if rng.random() < 0.7 else [place, sky, time]
        said = " ".join(part for part in parts if part)
    else:
        colour = scene.colour if whole or rng.random() < 0.9 else ""
        thing = " ".join(part for part in (colour, one(SUBJECTS[scene.subject])) if part)
        article = "an" if thing[0] in "aeiou" else "a"
        joined = one(
            (f"{article} {thing} in {place}", f"{article} {thing}, {place}", f"{place} with {article} {thing}")
        )
        said = " ".join(part for part in (joined, time, sky) if part)
    if rng.random() < 0.15:
        said = ", ".join(
            part for part in (scene.kind, scene.time, f"{scene.colour} {scene.subject}".strip(), scene.sky) if part
        )
    return one(STYLES) + said


def _portrait_caption(portrait: Portrait, rng: np.random.Generator, whole: bool) -> str:
    def kept(share: float) -> bool:
        return bool(whole or rng.random() < share)

    person = str(rng.choice(PERSONS))
    features = []
    if kept(0.9):
        features.append(f"{portrait.length} {portrait.hair} hair")
    if portrait.glasses or kept(0.3):
        features.append(str(rng.choice(("glasses", "eyeglasses"))) if portrait.glasses else "no glasses")
    if kept(0.8):
        features.append(str(rng.choice(SKINS[portrait.skin])))
    if kept(0.8):
        features.append(
            str(
                rng.choice(
                    (f"a {portrait.clothes} shirt", f"{portrait.clothes} clothes", f"a {portrait.clothes} sweater")
                )
            )
        )
    if kept(0.85):
        article = "an" if portrait.background == "orange" else "a"
        features.append(
            f"{article} {portrait.background} background" if rng.random() < 0.5 else f"{portrait.background} background"
        )
    order = list(rng.permutation(len(features))) if rng.random() < 0.5 else range(len(features))
    said = ", ".join(features[at] for at in order)
    start = str(
        rng.choice(
            (
                f"portrait of {person}",
                f"a portrait of {person}",
                f"headshot of {person}",
                f"a professional headshot of {person}",
            )
        )
    )
    return f"{start} with {said}" if said else start


def vocabulary() -> dict[str, object]:
    """The words of the small model, for documentation and for messages: groups of words, and examples of prompts."""
    return {
        "scenes": list(SCENES),
        "times": list(TIMES),
        "skies": list(SKIES),
        "subjects": list(SUBJECTS),
        "colours": list(COLOURS),
        "portrait": {
            "hair_colours": list(HAIR_COLOURS),
            "hair_lengths": list(HAIR_LENGTHS),
            "skins": list(SKINS),
            "glasses": ["glasses", "no glasses"],
            "backgrounds": list(BACKGROUNDS),
            "clothes": list(CLOTHES),
        },
        "examples": [
            "a red house in the mountains at sunset with clouds",
            "a blue sailing boat, the open sea at night with a full moon",
            "a forest at dawn",
            "portrait of a person with short red hair, glasses, light skin, a green shirt, blue background",
        ],
    }
