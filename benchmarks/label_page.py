#!/usr/bin/env python3
# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast the page of `hier-seg label` is, measured in a browser.

``keys``: milliseconds from a key to the next proposal on the screen, and to its paint as the page
measures it. ``opening``: seconds from the address to the first proposal of a folder with 20,000.
``painting``: pictures per second while a brush follows the pointer at 1360×800.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measurement import circumstances, print_table, write_result
from PIL import Image

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy
from hier_seg_trainer.labelling.new_folder import new_labelling_folder
from hier_seg_trainer.labelling.proposals import Guess, Proposal, runs_of_mask

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
TOPIC = '/camera/image_raw/compressed'
SIGN = 'object--traffic-sign--front'
BOX = 40  # pixels, the edge of a proposal
PAINTING_SECONDS = 4


def main() -> int:
    """Measure, print and write."""
    from playwright.sync_api import sync_playwright

    options = _parser().parse_args()
    result: dict[str, Any] = {'circumstances': circumstances()}
    program = next(path for path in map(shutil.which, BROWSERS) if path)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
        small, large = Path(folder) / 'small', Path(folder) / 'large'
        images = write_folder(small, options.recording, options.keys + 10)
        write_folder(large, options.recording, options.proposals)
        with served(small) as address:
            result['keys'] = {'images': images, **measure_keys(browser, address, options.keys)}
            result['painting'] = measure_painting(browser, address)
        result['opening'] = measure_opening(browser, large, options.proposals)
        browser.close()
    result['load_average_after'] = [round(value, 2) for value in os.getloadavg()]
    print_table(
        ('what', 'median', '95 %', 'most'),
        [
            (name, *(values[key] for key in ('median', '95 %', 'most')))
            for name, values in (
                ('key to next proposal, ms', result['keys']['milliseconds']),
                ('between two pictures while painting, ms', result['painting']['milliseconds']),
            )
        ],
    )
    print(f'opening {options.proposals} proposals: {result["opening"]["seconds"]} s')
    print(f'painting: {result["painting"]["pictures per second"]} pictures per second')
    write_result(result, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path, help='a recording of street photographs')
    parser.add_argument('--keys', type=int, default=60, help='keys that are pressed')
    parser.add_argument('--proposals', type=int, default=20_000, help='of the large folder')
    parser.add_argument('--json', type=Path, help='file for the numbers')
    return parser


def write_folder(path: Path, recording: Path, count: int) -> int:
    """Write a labelling folder with proposals at random places; return how many images it has."""
    tree = Hierarchy.load(find_hierarchy('street_108'))
    signs = [node.name for node in tree.nodes if node.parent == SIGN]
    generator = np.random.default_rng(0)
    mask = np.hypot(*np.mgrid[-1 : 1 : BOX * 1j, -1 : 1 : BOX * 1j]) <= 1
    runs, pixels = runs_of_mask(mask), int(mask.sum())
    with ImageBag(recording) as bag:
        photographs = [image.pixels for image in bag.images(TOPIC)]
    with new_labelling_folder(path, tree, {'model': None, 'command': 'benchmark'}) as folder:
        names = []
        for number, rgb in enumerate(photographs):
            file = io.BytesIO()
            Image.fromarray(rgb).save(file, 'JPEG', quality=92)
            prediction = np.full(rgb.shape[:2], tree.node('Driveable').id, np.uint8)
            names.append(folder.add_image(f'{number}.jpg', file.getvalue(), prediction))
        proposals = []
        for number in range(count):
            image = number % len(names)
            height, width = photographs[image].shape[:2]
            left = int(generator.integers(width - BOX))
            top = int(generator.integers(height - BOX))
            guesses = tuple(
                Guess(str(name), 0.5 / (place + 1))
                for place, name in enumerate(generator.choice(signs, 9, replace=False))
            )
            box = (left, top, left + BOX, top + BOX)
            proposals.append(Proposal(number, names[image], box, runs, pixels, SIGN, guesses, 1.0))
        folder.add_proposals(proposals)
    return len(names)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of a folder's page."""
    command = [sys.executable, '-m', 'hier_seg_trainer.cli', 'label', str(folder), '--port', '0']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.startswith('http'))
        finally:
            process.kill()


def measure_keys(browser: Any, address: str, count: int) -> dict[str, Any]:
    """Press keys at a person's pace; every answer goes to the log meanwhile."""
    page = opened(browser, address)
    for place in range(count):
        page.keyboard.press(str(1 + place % 9))
        page.wait_for_timeout(400)
    measured = page.evaluate(
        "performance.getEntriesByName('next proposal').map((entry) => entry.duration)"
    )
    page.context.close()
    assert len(measured) >= count - 2, len(measured)
    return {'count': len(measured), 'milliseconds': distribution(measured)}


def measure_painting(browser: Any, address: str) -> dict[str, Any]:
    """Paint with a large brush for some seconds; count the pictures that the page gets."""
    page = opened(browser, address)
    page.keyboard.press('m')
    page.wait_for_selector('html[data-frame]')
    page.keyboard.press('0')
    box = page.locator('#photo').bounding_box()
    page.locator('#size').fill('40')
    page.evaluate(
        """() => {
            window.times = [];
            const step = (time) => { times.push(time); requestAnimationFrame(step); };
            requestAnimationFrame(step);
        }"""
    )
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate('times.length = 0')
    end = time.monotonic() + PAINTING_SECONDS
    place = 0
    while time.monotonic() < end:
        place += 1
        angle = place / 12
        page.mouse.move(
            x + np.cos(angle) * box['width'] / 2.5, y + np.sin(angle * 1.7) * box['height'] / 2.5
        )
    times = page.evaluate('times.slice()')
    page.mouse.up()
    page.context.close()
    return {
        'frame': [1360, 800],
        'pointer moves': place,
        'pictures per second': round((len(times) - 1) / (times[-1] - times[0]) * 1000, 1),
        'milliseconds': distribution(np.diff(times)),
    }


def measure_opening(browser: Any, folder: Path, count: int) -> dict[str, Any]:
    """Open the page of a large folder; and start the program itself."""
    began = time.monotonic()
    with served(folder) as address:
        program = time.monotonic() - began
        page = opened(browser, address)
        opened_in = page.evaluate("performance.getEntriesByName('open')[0].duration") / 1000
        page.context.close()
    return {
        'proposals': count,
        'seconds': round(opened_in, 3),
        'program seconds': round(program, 3),
    }


def opened(browser: Any, address: str) -> Any:
    """Return a page of 1360×800 that shows its first proposal."""
    page = browser.new_context(viewport={'width': 1360, 'height': 800}).new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.wait_for_selector('html[data-ready=yes]')
    page.wait_for_timeout(500)
    return page


def distribution(values: Any) -> dict[str, float]:
    """Return the median, the 95th percentile and the largest."""
    listed = sorted(float(value) for value in values)
    return {
        'median': round(statistics.median(listed), 1),
        '95 %': round(float(np.percentile(listed, 95)), 1),
        'most': round(listed[-1], 1),
    }


if __name__ == '__main__':
    sys.exit(main())
