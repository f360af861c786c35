"""What an endpoint draws, on one sheet: `python shown.py headshot pictures/headshots.png`.

Asks with RunPod's own client (RUNPOD_ENDPOINT_BASE_URL, RUNPOD_API_KEY) and reads the pictures at their signed URLs.
"""

import argparse
import io
import os
import textwrap
import urllib.request

import runpod
from PIL import Image, ImageDraw

PROMPTS = (
    "portrait of a person with short red hair, glasses, a green shirt, blue background",
    "portrait of a person with long black hair, dark skin, a white shirt, orange background",
    "portrait of a person with long blonde hair, light skin, glasses, purple background",
    "headshot of a person with short brown hair, no glasses, a red shirt, grey background",
)
SIDE, COLUMNS, LINE = 240, 4, 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint")
    parser.add_argument("sheet")
    given = parser.parse_args()
    runpod.api_key = os.environ["RUNPOD_API_KEY"]
    endpoint = runpod.Endpoint(given.endpoint)
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-len(PROMPTS) // COLUMNS) * (SIDE + LINE)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, prompt in enumerate(PROMPTS):
        answer = endpoint.run_sync({"input": {"prompt": prompt, "user_id": "readme", "seed": 7}})
        with urllib.request.urlopen(answer["signed_url"], timeout=30) as picture:
            drawn = Image.open(io.BytesIO(picture.read())).resize((SIDE, SIDE))
        left, top = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + LINE)
        sheet.paste(drawn, (left, top))
        draw.text((left + 6, top + SIDE + 2), "\n".join(textwrap.wrap(prompt, 38)), "black", font_size=12)
    sheet.save(given.sheet)


if __name__ == "__main__":
    main()
