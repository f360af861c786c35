"""The main colours of an item on its ground, and how well colours go together.

Colours are CIELAB under D65 (CIE 15:2004), by way of sRGB (IEC 61966-2-1). Harmony follows hue relations on the CIELAB
hue circle (the same hue, neighbours, complements, triads; Matsuda's types, as Cohen-Or et al., "Color Harmonization",
SIGGRAPH 2006, use them); colours with little chroma go with everything.
"""

import numpy as np

COLOURS_MAX = 3
SHARE_MIN = 0.08  # of an item's pixels
SEPARATE = 14.0  # distance in CIELAB below which two colours are one
NEUTRAL_CHROMA = 14.0
RELATIONS = ((0.0, 1.0), (30.0, 0.85), (180.0, 0.8), (120.0, 0.6))  # hue difference in degrees, how well it goes
RELATION_WIDTH = 18.0  # degrees
NEUTRAL_HARMONY = 0.9
WHITE = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
NAMES = {
    "black": (8, 0, 0), "white": (93, 0, 2), "grey": (55, 0, 0), "navy": (19, 12, -29), "blue": (43, 8, -46),
    "teal": (48, -27, -8), "green": (48, -34, 29), "olive": (46, -9, 29), "yellow": (78, 4, 64), "orange": (57, 33, 53),
    "red": (41, 54, 30), "burgundy": (22, 34, 8), "pink": (66, 34, 1), "purple": (36, 34, -36), "beige": (77, 4, 21),
    "brown": (31, 12, 19),
}  # fmt: skip


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB: n x 3, uint8 to n x 3, float."""
    value = rgb.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)


def main_colours(
    picture: np.ndarray, opaque: np.ndarray | None = None
) -> tuple[tuple[float, float, float, float], ...]:
    """Up to three colours of the item, the largest first, each with its share.

    The ground is what lies near the border's own colours; an item that fills its picture is all item. Where a picture
    says itself what is ground, by being transparent there, that holds instead.

    Args:
        picture: height x width x 3, uint8.
        opaque: height x width, bool; None, or all of it, where nothing is transparent.
    """
    steps = slice(None, None, max(1, picture.shape[0] // 96)), slice(None, None, max(1, picture.shape[1] // 96))
    small = picture[steps]
    if opaque is not None and opaque.any() and not opaque.all():
        cut = opaque[steps]
        return _clusters(lab(small[cut] if cut.any() else picture[opaque]))
    rows, columns = small.shape[:2]
    pixels = lab(small.reshape(-1, 3))
    edge = np.zeros((rows, columns), bool)
    edge[:2] = edge[-2:] = edge[:, :2] = edge[:, -2:] = True
    ground = np.median(pixels[edge.ravel()], axis=0)
    away = np.linalg.norm((pixels - ground) * (0.6, 1, 1), axis=1)  # a shadow differs in lightness
    inner = away > 12
    if inner.mean() < 0.03:
        inner = _middle(rows, columns)
    return _clusters(pixels[inner])


def _middle(rows: int, columns: int) -> np.ndarray:
    """A white item on white: what is not the outer quarter; all of a picture that is too narrow to have a middle."""
    mask = np.zeros((rows, columns), bool)
    mask[rows // 4 : -rows // 4, columns // 4 : -columns // 4] = True
    return mask.ravel() if mask.any() else np.ones(rows * columns, bool)


def _clusters(pixels: np.ndarray) -> tuple[tuple[float, float, float, float], ...]:
    """k-means (Lloyd) from far seeds, the lightness weighed less, near centres joined, small ones left out."""
    weighed = pixels * (0.5, 1, 1)
    centres = weighed[[int(np.argmin(np.linalg.norm(weighed - np.median(weighed, axis=0), axis=1)))]]
    while len(centres) < COLOURS_MAX + 1:
        far = np.linalg.norm(weighed[:, None] - centres[None], axis=2).min(axis=1)
        centres = np.vstack([centres, weighed[int(np.argmax(far))]])
    for _ in range(12):
        nearest = np.linalg.norm(weighed[:, None] - centres[None], axis=2).argmin(axis=1)
        members = [weighed[nearest == one] for one in range(len(centres))]
        centres = np.stack([
            some.mean(axis=0) if len(some) else centre for some, centre in zip(members, centres, strict=True)
        ])  # fmt: skip
    counted = sorted(((int((nearest == one).sum()), one) for one in range(len(centres))), reverse=True)
    joined: list[list] = []
    for count, one in counted:
        centre = centres[one] / (0.5, 1, 1)
        near = next((other for other in joined if np.linalg.norm((other[1] - centre) * (0.5, 1, 1)) < SEPARATE), None)
        if near is None:
            joined.append([count, centre])
        else:
            near[0] += count
    shares = [(count / len(pixels), centre) for count, centre in joined]
    kept = [(share, centre) for share, centre in sorted(shares, key=lambda one: -one[0]) if share >= SHARE_MIN]
    return tuple((*(round(float(v), 2) for v in centre), round(share, 3)) for share, centre in kept[:COLOURS_MAX])


def name_of(colour: tuple[float, ...]) -> str:
    """The nearest of sixteen names."""
    return min(NAMES, key=lambda name: float(np.linalg.norm((np.array(NAMES[name]) - colour[:3]) * (0.6, 1, 1))))


def closeness(one: tuple, other: tuple) -> float:
    """How alike two items' main colours are: 1 the same, 0 a distance of 60 and more, weighed by shares both ways."""
    return (_covered(one, other) + _covered(other, one)) / 2


def _covered(one: tuple, other: tuple) -> float:
    total = sum(colour[3] for colour in one)
    found = 0.0
    for colour in one:
        near = min(float(np.linalg.norm(np.subtract(colour[:3], another[:3]) * (0.6, 1, 1))) for another in other)
        found += colour[3] * max(0.0, 1 - near / 60)
    return found / total


def harmony(one: tuple, other: tuple) -> float:
    """How well two items' main colours go together, 0 to 1, the mean over their pairs, weighed by shares."""
    found = weight = 0.0
    for first in one:
        for second in other:
            share = first[3] * second[3]
            found += share * _pair(first, second)
            weight += share
    return found / weight


def _pair(first: tuple, second: tuple) -> float:
    if min(np.hypot(*first[1:3]), np.hypot(*second[1:3])) < NEUTRAL_CHROMA:
        return NEUTRAL_HARMONY
    apart = abs(np.degrees(np.arctan2(first[2], first[1]) - np.arctan2(second[2], second[1])) + 180) % 360 - 180
    apart = abs(apart)
    return float(max(well * np.exp(-(((apart - hue) / RELATION_WIDTH) ** 2) / 2) for hue, well in RELATIONS))
