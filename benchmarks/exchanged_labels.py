# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many labels that were exchanged on purpose ``hier-seg disagree`` puts first.

    python benchmarks/exchanged_labels.py DATA --json benchmarks/results/exchanged_labels.json

DATA has ``gtsrb`` and ``gtsdb``. Of the validation crops of GTSRB, and of the signs in the
validation images of GTSDB, 3 % get another label, drawn among all classes that occur there; the
measure is the share of them among the first 6 % of the list. It is done with 50 seeds. What the
model sees of a sign does not depend on its label, so the network runs once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.disagreement.judging import Judge
from hier_seg_trainer.disagreement.suspicion import LabelledSign, disagreement, label_of, ranked
from hier_seg_trainer.proposing.object_regions import MIN_PIXELS, sign_parents

EXCHANGED, LISTED = 0.03, 0.06
SEEDS = 50


def main() -> None:
    """Run the model once, exchange labels with each seed, write."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--model', default='street_lite0')
    parser.add_argument('--seeds', type=int, default=SEEDS)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    segmenter = Segmenter.load(
        find_model(options.model), 'cpu', engine='torch', precision='float32'
    )
    judge = Judge(
        segmenter.hierarchy, sign_parents(segmenter.hierarchy), MIN_PIXELS, segmenter, None
    )
    result: dict[str, Any] = {
        'command': f'python benchmarks/exchanged_labels.py DATA --model {options.model}',
        'model': segmenter.name,
        'exchanged': EXCHANGED,
        'listed': LISTED,
        'seeds': options.seeds,
    }
    for name in ('gtsrb', 'gtsdb'):
        dataset = open_dataset(name, options.data / name, 'val', segmenter.hierarchy)
        signs = list(judge.signs([dataset], progress=True))
        result[name] = measure(judge, signs, options.seeds)
    text = json.dumps(result, indent=2) + '\n'
    print(text, end='')
    if options.json is not None:
        write_text(options.json, text)


def measure(judge: Judge, signs: Sequence[LabelledSign], seeds: int) -> dict[str, Any]:
    """Return the share of exchanged labels among the first of the list, over the seeds."""
    count, listed = (round(share * len(signs)) for share in (EXCHANGED, LISTED))
    shares = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        places = set(rng.choice(len(signs), count, replace=False).tolist())
        given = _exchanged(judge, signs, places, rng)
        order = ranked([disagreement(sign, label_of(sign, judge.tree)) for sign in given])
        first = {id(item.sign) for item in order[:listed]}
        shares.append(sum(id(given[place]) in first for place in places) / count)
    plain = [disagreement(sign, label_of(sign, judge.tree)) for sign in signs]
    return {
        'labels': len(signs),
        'exchanged_labels': count,
        'listed_labels': listed,
        'contradicted_before': sum(item.suspicion > 0 for item in plain),
        'found_mean': round(float(np.mean(shares)), 4),
        'found_least': round(float(np.min(shares)), 4),
    }


def _exchanged(
    judge: Judge, signs: Sequence[LabelledSign], places: set[int], rng: np.random.Generator
) -> list[LabelledSign]:
    classes = sorted({sign.given.name for sign in signs})
    found = []
    for place, sign in enumerate(signs):
        given = sign.given
        if place in places:
            others = [name for name in classes if name != given.name]
            given = judge.tree.node(others[int(rng.integers(len(others)))])
        found.append(replace(sign, given=given))
    return found


if __name__ == '__main__':
    main()
