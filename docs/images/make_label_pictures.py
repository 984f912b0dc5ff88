# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the page of `hier-seg label` for README.md and docs/label_page.md.

    hier-seg propose demo/street --model street_lite0 --out out/signs
    python docs/images/make_label_pictures.py out/signs

The photographs are GTSDB's, from the demo's bag. Nothing is answered in the folder.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from hier_seg_ros.files.writing import written_file

FOLDER = Path(__file__).resolve().parent
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
SIZE: ViewportSize = {'width': 1280, 'height': 760}


def main() -> None:
    """Write the pictures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', help='what hier-seg propose has written')
    parser.add_argument('--at', default='1', help='the proposal that is shown (default 1)')
    options = parser.parse_args()
    program = next(path for path in map(shutil.which, BROWSERS) if path)
    command = [sys.executable, '-m', 'hier_seg_trainer.cli', 'label', options.folder]
    command += ['--port', '0', '--author', 'anna', '--at', options.at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.strip() for line in process.stdout if line.startswith('http'))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
                page = browser.new_page(viewport=SIZE)
                page.goto(address)
                page.wait_for_selector('html[data-ready=yes]')
                page.wait_for_timeout(1000)
                write_picture(page, 'label_signs.jpg')
                page.keyboard.press('m')
                page.wait_for_selector('html[data-frame]')
                page.wait_for_timeout(1000)
                write_picture(page, 'label_frames.jpg')
                browser.close()
        finally:
            process.kill()


def write_picture(page: Page, name: str) -> None:
    """Write what the page shows."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert('RGB')
    with written_file(FOLDER / name) as partial:
        picture.save(partial, 'JPEG', quality=82, optimize=True)


if __name__ == '__main__':
    main()
