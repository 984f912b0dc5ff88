# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Malformed and extreme messages to the conversion: pixels, or one line and a reason for each."""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from image_messages import (
    RegionOfInterest,
    camera_infos,
    compressed_images,
    depth_images,
    good_camera_info,
    raw_images,
)

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

from measurement import circumstances, print_table, write_result

from hier_seg_ros.images.depth import depth_in_metres, intrinsics_of
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.image_files import MOST_PIXELS
from hier_seg_ros.images.messages import rgb_of

REASONS = {
    'size',
    'encoding',
    'byte_order',
    'step',
    'data_length',
    'compressed',
    'camera_info',
}
# A line is for people to read.
LONGEST_LINE = 1500
# Of each pixel of the largest image that is decoded: four in Pillow, four when it has converted
# them, twice three as an array and on the way to it.
BYTES_OF_A_PIXEL = 14
MEBIBYTE = 2**20


def rgb_shape(message: Any) -> None:
    """Convert an image; what comes out must be pixels that the message may have."""
    pixels = rgb_of(message)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MOST_PIXELS
    if hasattr(message, 'encoding'):
        assert pixels.shape[:2] == (message.height, message.width)


def metres(message: Any) -> None:
    """Convert a depth image; what comes out must be a distance or nothing."""
    depth = depth_in_metres(message)
    assert depth.dtype == np.float32 and depth.shape == (message.height, message.width)
    assert not (depth <= 0).any() and not np.isinf(depth).any()


def intrinsics(message: Any) -> None:
    """Read a CameraInfo; what comes out must be numbers that a ray can be made of."""
    assert np.isfinite(intrinsics_of(message, 16, 24)).all()


NO_REGION = RegionOfInterest(0, 0, 0, 0, False)
CONVERSIONS: dict[str, tuple[Callable[[Any], None], st.SearchStrategy[Any]]] = {
    'Image': (rgb_shape, raw_images()),
    'CompressedImage': (rgb_shape, compressed_images()),
    'depth Image': (metres, depth_images()),
    'CameraInfo': (
        intrinsics,
        camera_infos()
        | camera_infos(width=24, height=16)
        | camera_infos(width=24, height=16, binning_x=1, binning_y=0, roi=NO_REGION)
        | camera_infos(width=24, height=0, roi=NO_REGION, p=good_camera_info().p),
    ),
}


def outcome(convert: Callable[[Any], None], message: Any) -> str:
    """Return the reason for which a message is refused, 'converted' where it is not.

    Raises
    ------
    AssertionError
        It is refused in other than one line, or for a reason that nobody counts.

    """
    try:
        convert(message)
    except InvalidFrameError as error:
        line = str(error)
        assert error.reason in REASONS, error.reason
        assert line.isprintable() and 0 < len(line) <= LONGEST_LINE, line[:LONGEST_LINE]
        return error.reason
    return 'converted'


def draw(
    strategy: st.SearchStrategy[Any],
    number: int,
    seed: int,
    use: Callable[[Any], None],
    phases: Sequence[Phase] = (Phase.generate, Phase.shrink),
) -> None:
    """Draw values and use each; the simplest one that `use` fails for comes with its error.

    Parameters
    ----------
    strategy
        What draws them.
    number
        How many there are.
    seed
        The same values come with the same seed.
    use
        Called with each.
    phases
        Of Hypothesis: without shrinking, the error is that of the first one that fails.

    """
    checked = settings(
        max_examples=number,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    # Hypothesis takes no function with defaults.
    checked(with_seed(seed)(given(strategy)(lambda value: use(value))))()


def convert_all(kind: str, messages: int, seed: int) -> tuple[Counter[str], float]:
    """Convert messages of one kind.

    Parameters
    ----------
    kind
        One of `CONVERSIONS`.
    messages, seed
        As for `draw`.

    Returns
    -------
    tuple[Counter[str], float]
        The messages by what became of them, and the longest processor time for one in seconds.

    """
    convert, strategy = CONVERSIONS[kind]
    outcomes: Counter[str] = Counter()
    slowest = 0.0

    def use(message: Any) -> None:
        nonlocal slowest
        # Of this process alone, however busy the machine is.
        begin = time.process_time()
        outcomes[outcome(convert, message)] += 1
        slowest = max(slowest, time.process_time() - begin)

    draw(strategy, messages, seed, use)
    return outcomes, slowest


def most_memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def limit_memory() -> float:
    """Let nothing take more memory than the largest image; return how much that is, in MiB."""
    size = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[0])
    allowed = BYTES_OF_A_PIXEL * MOST_PIXELS
    limit = size * resource.getpagesize() + allowed
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return allowed / MEBIBYTE


def main() -> int:
    """Run the program; return the exit code."""
    arguments = _parser().parse_args()
    before = circumstances()
    # What the first of each kind imports is no cost of a message.
    for kind in CONVERSIONS:
        convert_all(kind, 20, 0)
    memory, allowed = most_memory(), limit_memory()
    results = []
    for kind in CONVERSIONS:
        begin = time.perf_counter()
        outcomes, slowest = convert_all(kind, arguments.messages, arguments.seed)
        results.append(
            {
                'kind': kind,
                'messages': outcomes.total(),
                'outcomes': dict(outcomes.most_common()),
                'slowest_seconds': round(slowest, 3),
                'seconds': round(time.perf_counter() - begin, 1),
                'memory_growth_mib': round(most_memory() - memory, 1),
            }
        )
    print_table(list(results[0]), [list(result.values()) for result in results])
    print(f'memory that was allowed: {allowed:.0f} MiB')
    write_result(
        {**before, 'seed': arguments.seed, 'allowed_mib': allowed, 'results': results},
        arguments.json,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=6000, help='of each kind (%(default)s)')
    parser.add_argument('--seed', type=int, default=1, help='of the messages (%(default)s)')
    parser.add_argument('--json', type=Path, help='write the numbers to this file')
    return parser


if __name__ == '__main__':
    sys.exit(main())
