# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording is evaluated on a machine that has no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from street_bag import STAMPS, true_labels

from hier_seg_ros.bags.messages import image_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import Hierarchy


def test_a_recording_is_evaluated_without_torch(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    recorded, out = tmp_path / 'recorded', tmp_path / 'out'
    with BagWriter(recorded) as bag:
        tree = string_message(json.dumps(street_tree.as_dict()))
        bag.write('/segmenter/hierarchy', tree, 0)
        for index, stamp in enumerate(STAMPS):
            message = image_message(true_labels(index), stamp, 'camera')
            bag.write('/segmenter/traffic_signs/labels', message, stamp)
    arguments = [str(street_bag), '--predictions', str(recorded), '--out', str(out)]
    # A module that is None in sys.modules cannot be imported.
    code = (
        'import sys\n'
        "sys.modules.update(dict.fromkeys(('torch', 'timm', 'safetensors', 'torchvision')))\n"
        'from hier_seg_ros.evaluation.evaluate_bag import main\n'
        f'sys.exit(main({arguments!r}))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / 'scores.json').read_text())['signs']['right_class'] == 3
