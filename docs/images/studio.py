"""Screenshots of the studio's page at three widths: python -m docs.images.studio

Needs Chromium and Pillow. Pocket plays, three knobs are turned, and the page is drawn when the
change sounds.
"""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from tests.browsers import FLAGS, find_chromium
from tests.studio.servers import served

import tonearm
from tonearm.live import Session

SIZES = ((1360, 960, "light"), (1360, 960, "dark"), (820, 1180, "light"), (390, 844, "dark"))
KNOBS = (("tempo", 12.0), ("brightness", 2.0))
TIMEOUT = 300_000  # ms
SOUNDS = """() => window.tonearm.roll.marks.length > 1
  && window.tonearm.output.status.position > 9 * 16000 + Math.max(9 * 16000, ...window.tonearm.roll.marks.map((one) => one.sample))"""


def main() -> None:
    """Write docs/images/studio-WIDTH-SCHEME.png."""
    folder = Path(__file__).parent
    with (
        Session(
            tonearm.load(), prompt="a latin song with guitar", seed=6, mode="phrase"
        ) as session,
        served(session) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1360, "height": 960})
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        page.wait_for_function("() => window.tonearm?.output.status.playing")
        for name, value in KNOBS:
            page.evaluate(
                "([name, value]) => window.tonearm.rows.get(name).set(value)", [name, value]
            )
        page.wait_for_function(SOUNDS)
        for width, height, scheme in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(600)
            image = Image.open(io.BytesIO(page.screenshot()))
            name = folder / f"studio-{width}-{scheme}.png"
            image.convert("RGB").save(name, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
