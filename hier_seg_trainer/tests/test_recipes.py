# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The experiment files that come with the trainer: they load, and they train."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_runs import Trainer

from hier_seg_ros.segmenter.network import NETWORKS
from hier_seg_trainer.configuration import Experiment, load_experiment
from hier_seg_trainer.synthesis.layouts.dataset_writing import SynthesisOptions, synthesize

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
RECIPES = sorted(path.stem for path in CONFIGS.glob('*.yaml'))
# The three losses, four normalisations and two augmentations of the MiniCity baseline.
LOSSES = ('', 'class_balance=1.0', 'loss.pixel_loss=focal')
NORMALIZATIONS = ('', 'normalization=instance', 'normalization=group', 'normalization=evo')
AUGMENTATIONS = ('augmentation.cutmix=0.5', 'augmentation.copy_blob=3')


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return small data sets in the layouts of the recipes."""
    root = tmp_path_factory.mktemp('synthetic')
    options = SynthesisOptions(
        formats=('cityscapes', 'vistas', 'gtsdb', 'minicity'), images=3, validation=1, size=0.2
    )
    synthesize(root, options, 'a test')
    return root


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every network be built on a backbone and at a width of a few channels."""
    for name, options in list(NETWORKS.items()):
        small: dict[str, Any] = {'backbone': 'test_efficientnet', 'shared_channels': 8}
        if name != 'light':
            small['backbone_options'] = {'output_stride': 8}
        else:
            small |= {'fused_strides': (8, 16), 'branch_channels': 4}
        monkeypatch.setitem(NETWORKS, name, replace(options, **small))


def train_a_step(recipe: str, data: Path, *changes: str) -> tuple[Experiment, dict[str, float]]:
    """Return a recipe, on small crops and from random weights, and the losses of its first step."""
    small = ('crop=[64, 96]', 'initial_weights=random', 'automatic_mixed_precision=false')
    experiment = load_experiment(CONFIGS / f'{recipe}.yaml', [*small, *changes])
    return experiment, Trainer(experiment, data).step()


@pytest.mark.parametrize('recipe', RECIPES)
def test_a_recipe_loads_under_its_own_name(recipe: str) -> None:
    assert load_experiment(CONFIGS / f'{recipe}.yaml').name == recipe


@pytest.mark.usefixtures('small_networks')
@pytest.mark.parametrize('recipe', ['paper_street_108', 'synthetic_street', 'minicity'])
def test_a_recipe_trains_on_synthetic_data(recipe: str, synthetic: Path) -> None:
    _, losses = train_a_step(recipe, synthetic)
    assert all(math.isfinite(value) for value in losses.values())
    assert losses['root'] > 0


@pytest.mark.usefixtures('small_networks')
def test_every_variant_of_the_minicity_baseline_trains_and_is_another_one(synthetic: Path) -> None:
    # Fewer images a step: 24 variants are trained here.
    seen = set()
    for changes in itertools.product(LOSSES, NORMALIZATIONS, AUGMENTATIONS):
        given = [change for change in changes if change]
        _, losses = train_a_step('minicity', synthetic, 'data.0.images_per_batch=2', *given)
        total = sum(losses.values())
        assert math.isfinite(total)
        assert total > 0
        seen.add(round(total, 7))
    assert len(seen) == len(LOSSES) * len(NORMALIZATIONS) * len(AUGMENTATIONS)


def test_the_variants_are_those_that_the_recipe_tells_of() -> None:
    text = (CONFIGS / 'minicity.yaml').read_text(encoding='utf-8')
    told = set(re.findall(r'--set (\S+)', text))
    assert {c for c in (*LOSSES, *NORMALIZATIONS, *AUGMENTATIONS) if c} < told


def test_the_paper_recipe_has_the_papers_numbers() -> None:
    paper = load_experiment(CONFIGS / 'paper_street_108.yaml')
    assert [entry.images_per_batch for entry in paper.data] == [1, 2, 1]
    vistas = paper.data[1]
    iterations_per_epoch = 18000 // vistas.images_per_batch
    assert paper.iterations == 17 * iterations_per_epoch
    assert paper.schedule.halve_at == (8 * iterations_per_epoch, 15 * iterations_per_epoch)
    assert paper.loss.level_weights == (1.0, 0.1, 0.1)
    assert paper.optimizer.weight_decay == 0.00017
    assert not any(entry.flip for entry in paper.data)
