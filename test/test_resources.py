# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package finds its files in a checkout and after an install, and says what there is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hier_seg_ros import resources
from hier_seg_ros.errors import HierSegError

PACKAGE = Path(resources.__file__).parent


@pytest.fixture
def share(tmp_path, monkeypatch):
    """Return a share folder with two models and a folder that is none."""
    share = tmp_path / 'share'
    (share / 'config' / 'hierarchies').mkdir(parents=True)
    for name in ('small', 'large'):
        (share / 'models' / name).mkdir(parents=True)
        (share / 'models' / name / 'model.yaml').touch()
    (share / 'models' / 'unfinished').mkdir()
    monkeypatch.setattr(resources, '_share_candidates', lambda: iter([tmp_path, share]))
    monkeypatch.chdir(tmp_path)
    return share


def test_share_folder_has_the_default_tree():
    tree = resources.share_folder() / 'config' / 'hierarchies' / 'street_108.yaml'
    assert tree.is_file()


def test_share_folder_after_an_install_is_that_of_the_same_prefix(tmp_path):
    """Code that colcon or pip put into a prefix uses the files put there with it."""
    site_packages = tmp_path / 'lib' / 'python3' / 'site-packages'
    installed = site_packages / 'hier_seg_ros'
    (installed / 'files').mkdir(parents=True)
    for name in ('errors.py', 'resources.py', 'files/__init__.py', 'files/suggestions.py'):
        shutil.copy(PACKAGE / name, installed / name)
    (installed / '__init__.py').touch()
    share = tmp_path / 'share' / 'hier_seg_ros'
    (share / 'config' / 'hierarchies').mkdir(parents=True)
    code = (
        f'import sys; sys.path.insert(0, {str(site_packages)!r});'
        'from hier_seg_ros.resources import share_folder; print(share_folder())'
    )
    output = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert output.stdout.strip() == str(share)


def test_share_folder_missing_names_the_places(tmp_path, monkeypatch):
    places = [tmp_path / 'a', tmp_path / 'b']
    monkeypatch.setattr(resources, '_share_candidates', lambda: iter(places))
    with pytest.raises(HierSegError, match='install the package again') as error:
        resources.share_folder()
    assert all(str(place) in str(error.value) for place in places)


@pytest.mark.parametrize('name', ['small', 'models/small', 'models/small/'])
def test_find_model_by_name(share, name):
    assert resources.find_model(name) == share / 'models' / 'small'


def test_find_model_by_path(share, tmp_path):
    own = tmp_path / 'runs' / 'own'
    own.mkdir(parents=True)
    assert resources.find_model('runs/own') == Path('runs/own')
    assert resources.find_model(str(own)) == own


def test_find_model_prefers_a_model_at_the_given_path(share, tmp_path):
    own = tmp_path / 'models' / 'small'
    own.mkdir(parents=True)
    assert resources.find_model('models/small') == share / 'models' / 'small'
    (own / 'model.yaml').touch()
    assert resources.find_model('models/small').resolve() == own.resolve()


@pytest.mark.parametrize('name', ['', 'tiny', 'models/tiny', 'unfinished', 'elsewhere/small'])
def test_find_model_unknown_lists_the_models(share, name):
    with pytest.raises(HierSegError, match='large, small') as error:
        resources.find_model(name)
    assert repr(name) in str(error.value)
    assert 'unfinished, ' not in str(error.value)


@pytest.mark.parametrize('name', ['smal', 'models/smal', 'Small'])
def test_find_model_offers_the_nearest_model(share, name):
    with pytest.raises(HierSegError, match=r"large, small; did you mean 'small'\?$"):
        resources.find_model(name)


def test_find_model_needs_neither_torch_nor_ros():
    code = (
        'import sys, hier_seg_ros.resources;'
        'assert not {"torch", "rclpy", "timm"} & set(sys.modules), sorted(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('name', ['a' * 300, '~nobody_of_this_name/model'])
def test_find_model_says_in_one_line_what_the_system_refuses(share, name):
    with pytest.raises(HierSegError, match='give the name of a model') as raised:
        resources.find_model(name)
    assert '\n' not in str(raised.value)
