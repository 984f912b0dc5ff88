# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes that say only how they differ from another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.augmentation.augmentation_options import PasteOptions
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.options import recipes
from hier_seg_trainer.options.parsing import as_plain
from hier_seg_trainer.training.runs.run_folder import record_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
Content = Callable[..., dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file of a name with some content, and gives its path."""

    def write_file(name: str, /, **content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = {key.replace('__', '.'): value for key, value in content.items()}
        path.write_text(yaml.safe_dump(text), encoding='utf-8')
        return path

    return write_file


@pytest.fixture
def base(write: Callable[..., Path], experiment_content: Content) -> Path:
    """Return a whole recipe."""
    return write('folder/base.yaml', **experiment_content(seed=4))


def test_a_recipe_says_what_differs_from_its_base(write: Callable[..., Path], base: Path) -> None:
    whole = load_experiment(base)
    # Relative to the file, not to where the program runs.
    path = write(
        'folder/deeper/recipe.yaml',
        base='../base.yaml',
        name='other',
        loss={'lovasz_weight': 0.5},
        optimizer={'name': 'sgd'},
        crop=[64, 96],
    )
    assert load_experiment(path) == replace(
        whole,
        name='other',
        loss=replace(whole.loss, lovasz_weight=0.5),
        optimizer=replace(whole.optimizer, name='sgd'),
        crop=(64, 96),
    )
    assert load_experiment(base) == whole


def test_a_list_is_replaced_and_a_place_in_it_changed(
    write: Callable[..., Path], base: Path, experiment_content: Content
) -> None:
    whole = load_experiment(base)
    camvid, gtsdb = whole.data
    entry = experiment_content()['data'][0]
    path = write('a.yaml', base='folder/base.yaml', data=[entry])
    assert load_experiment(path).data == (camvid,)
    path = write('b.yaml', base='folder/base.yaml', data__0__flip=True, loss__focal_gamma=3.0)
    changed_one = load_experiment(path)
    assert changed_one.data == (replace(camvid, flip=True), gtsdb)
    assert changed_one.loss == replace(whole.loss, focal_gamma=3.0)
    # One more, and a mapping that is replaced as a whole.
    paste = {'count': 3}
    path = write('c.yaml', base='folder/base.yaml', data__2=entry, data__1__paste=paste)
    third = load_experiment(path)
    assert third.data == (camvid, replace(gtsdb, paste=PasteOptions(3)), camvid)


def test_bases_have_bases(write: Callable[..., Path], base: Path) -> None:
    write('folder/second.yaml', base='base.yaml', seed=5, dropout=0.1, data__0__flip=True)
    third = write('third.yaml', base='folder/second.yaml', seed=6, data__0__scale=[1.0, 1.1])
    whole = load_experiment(base)
    camvid, gtsdb = whole.data
    camvid = replace(camvid, flip=True, scale=(1.0, 1.1))
    assert load_experiment(third) == replace(whole, seed=6, dropout=0.1, data=(camvid, gtsdb))
    changed_once_more = load_experiment(third, ['seed=7', 'data.0.flip=false'])
    assert changed_once_more.seed == 7
    assert changed_once_more.data == (replace(camvid, flip=False), gtsdb)


def test_a_base_goes_by_its_name_as_well(write: Callable[..., Path]) -> None:
    path = write('recipe.yaml', base='street_lite0/stage_11', seed=3)
    assert load_experiment(path) == replace(
        load_experiment(CONFIGS / 'street_lite0' / 'stage_11.yaml'), seed=3
    )
    path = write('recipe.yaml', base='claim', seed=3)
    assert load_experiment(path) == replace(load_experiment(CONFIGS / 'claim.yaml'), seed=3)


def test_recipes_come_with_an_installed_trainer(
    write: Callable[..., Path], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a wheel puts them into share/, beside lib/."""
    packages = tmp_path / 'prefix' / 'lib' / 'python3' / 'site-packages'
    module = packages / 'hier_seg_trainer' / 'options' / 'recipes.py'
    monkeypatch.setattr(recipes, '__file__', str(module))
    share = tmp_path / 'prefix' / 'share' / 'hier_seg_trainer' / 'configs'
    share.mkdir(parents=True)
    (share / 'mine.yaml').write_bytes(base.read_bytes())
    assert load_experiment(write('recipe.yaml', base='mine')) == load_experiment(base)


def test_no_base_is_no_base(write: Callable[..., Path], experiment_content: Content) -> None:
    path = write('recipe.yaml', **experiment_content(base=None))
    assert load_experiment(path).name == 'small'


def test_the_run_folder_says_all_that_the_bases_mean(
    write: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    experiment = load_experiment(write('recipe.yaml', base='folder/base.yaml', dropout=0.2))
    record_run(tmp_path / 'run', experiment, [])
    written = (tmp_path / 'run' / 'experiment.yaml').read_text(encoding='utf-8')
    assert yaml.safe_load(written) == as_plain(experiment)
    base.unlink()
    assert load_experiment(tmp_path / 'run' / 'experiment.yaml') == experiment


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ({'base': 3}, r'recipe\.yaml: base: is 3; it must be the path or the name'),
        (
            {'base': 'gone.yaml'},
            r'gone\.yaml: cannot be read .*; correct the base in .*recipe\.yaml',
        ),
        ({'base': 'a\0b.yaml'}, r'cannot be read .*; correct the base in .*recipe\.yaml'),
        (
            {'base': f'{"long" * 100}.yaml'},
            r'cannot be read .*; correct the base in .*recipe\.yaml',
        ),
        ({'base': 'clam'}, r"recipe\.yaml: base: no recipe .* called 'clam'; did you mean 'claim'"),
        (
            {'base': 'zzz'},
            r"recipe\.yaml: base: .* 'zzz'; choose among claim, .*street_lite0/stage_",
        ),
        ({'base': 'folder/base.yaml', 'sed': 1}, r"recipe\.yaml: unknown key 'sed'; did you mean"),
        ({'base': 'folder/base.yaml', 'seed': 'x'}, r"recipe\.yaml: seed: is 'x'; it must be of"),
        ({'base': 'folder/base.yaml', 'seed': -1}, r'recipe\.yaml: seed: is -1; it must be at'),
        (
            {'base': 'folder/base.yaml', 'data__5__flip': True},
            r'recipe\.yaml: data\.5\.flip: there is no such place',
        ),
        (
            {'base': 'folder/base.yaml', 'data__0__flp': True},
            r"recipe\.yaml: data\[0\]: unknown key 'flp'",
        ),
        ({'base': 'folder/base.yaml', 'crop': [64, 60]}, r'recipe\.yaml: crop: 60 is no multiple'),
        ({'base': 'folder/base.yaml', 'loss': None}, r'recipe\.yaml: loss: is None; it must hold'),
        ({'base': None, 'name': 'x'}, r"recipe\.yaml: has no 'hierarchy'; add it"),
    ],
)
def test_an_error_of_a_recipe_names_its_file(
    write: Callable[..., Path], base: Path, content: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HierSegError, match=reason) as raised:
        load_experiment(write('recipe.yaml', **content))
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'sed': 1}, "unknown key 'sed'"),
        ({'iterations': 0}, 'iterations: is 0; it must be at least 1'),
        ({'crop': [64, 60]}, 'crop: 60 is no multiple of 32'),
        ({'teacher': 'x'}, 'teacher: goes with a loss.distillation_weight above 0'),
        ({'loss': {'level_weights': []}}, 'loss.level_weights: is empty'),
    ],
)
def test_an_error_of_a_base_names_the_base(
    write: Callable[..., Path],
    experiment_content: Content,
    change: dict[str, Any],
    reason: str,
) -> None:
    write('base.yaml', **experiment_content(**change))
    path = write('recipe.yaml', base='base.yaml', dropout=0.1)
    with pytest.raises(HierSegError, match=rf'^\S*/base\.yaml: {reason}'):
        load_experiment(path)


def test_a_base_need_not_be_whole(write: Callable[..., Path], experiment_content: Content) -> None:
    content = experiment_content()
    network = content.pop('network')
    write('base.yaml', **content)
    assert load_experiment(write('recipe.yaml', base='base.yaml', network=network)).name == 'small'
    # What is missing is missing in the file that is trained with.
    with pytest.raises(HierSegError, match=r"recipe\.yaml: has no 'network'; add it"):
        load_experiment(write('recipe.yaml', base='base.yaml', seed=1))


@pytest.mark.parametrize('names', [['a'], ['a', 'b'], ['a', 'b', 'c']])
def test_bases_that_lead_back_are_refused_by_name(
    write: Callable[..., Path], names: list[str]
) -> None:
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        write(f'{name}.yaml', base=f'./{following}.yaml')
    with pytest.raises(HierSegError, match='is its own base') as raised:
        load_experiment(write('recipe.yaml', base='a.yaml'))
    assert all(f'/{name}.yaml' in str(raised.value) for name in names)


def test_a_base_that_is_no_yaml_is_refused_by_name(write: Callable[..., Path]) -> None:
    path = write('recipe.yaml', base='broken.yaml')
    (path.parent / 'broken.yaml').write_text('name: [', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'broken\.yaml: is not valid YAML'):
        load_experiment(path)
    (path.parent / 'broken.yaml').write_text('- a list\n', encoding='utf-8')
    with pytest.raises(HierSegError, match=r"broken\.yaml: is \['a list'\]; it must hold keys"):
        load_experiment(path)
