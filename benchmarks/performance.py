# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/performance.md shows, in pieces: one run of the command `benchmark` for each.

    python benchmarks/performance.py
    python benchmarks/performance.py engines --again

The runs are added to one file. Without names, the pieces that the file lacks are measured, so that
what was interrupted goes on. Then ``python docs/make_performance_page.py`` makes the page.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from measurement import write_result

from hier_seg_ros.files.reading import read_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'benchmarks' / 'results' / 'performance.json'
# Each takes about a minute on two cores.
PIECES = {
    'engines': '--size 704x512 --engine torch onnxruntime openvino --precision float32 auto '
    '--peers lraspp_mobilenet_v3_large',
    'engines_720p': '--size 1280x720 --engine torch onnxruntime openvino '
    '--peers lraspp_mobilenet_v3_large',
    'without_confidence': '--size 704x512 1280x720 --no-confidence '
    '--peers lraspp_mobilenet_v3_large',
    'peers': '--size 704x512 --flat --peers lraspp_mobilenet_v3_large '
    'deeplabv3_mobilenet_v3_large deeplabv3_resnet50',
    'sizes': '--size 320x180 640x360 960x540 1280x720 1920x1080 2560x1440',
    'input_long_sides': '--size 1280x720 --input-long-side 320 512 640 768 1024',
    'batches': '--size 704x512 --batch 1 2 4 8',
    'cameras': '--size 1280x720 --cameras 1 2 3 --batch 1 --peers lraspp_mobilenet_v3_large',
    'classes': '--size 704x512 --classes 10 30 108 250 --precision float32',
}

ROUNDS = ('--iterations', '15', '--seconds', '20')


def main() -> int:
    """Measure; returns the exit code of the first piece that fails, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('pieces', nargs='*', metavar='PIECE', help=f'of {", ".join(PIECES)} (all)')
    parser.add_argument('--again', action='store_true', help='also those that are there')
    options = parser.parse_args()
    if unknown := set(options.pieces) - PIECES.keys():
        parser.error(f'there is no piece {", ".join(sorted(unknown))}')
    for piece in options.pieces or PIECES:
        runs = measured_runs()
        if piece in runs and not options.again:
            continue
        others = [run for name, run in runs.items() if name != piece]
        if len(others) < len(runs):
            write_result({'runs': others}, RESULTS)
        words = [
            *shlex.split(PIECES[piece]),
            *ROUNDS,
            '--json',
            str(RESULTS.relative_to(ROOT)),
            '--append',
        ]
        command = [sys.executable, '-m', 'hier_seg_ros.commands.benchmark', *words]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            return code
    return 0


def measured_runs() -> dict[str, dict[str, Any]]:
    """Return the runs that have been measured, by the name of their piece."""
    runs = read_json(RESULTS)['runs'] if RESULTS.exists() else []
    return {
        piece: run
        for piece, words in PIECES.items()
        for run in runs
        if f'benchmark {words} --iterations' in run['command']
    }


if __name__ == '__main__':
    sys.exit(main())
