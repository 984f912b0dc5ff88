# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The versions that `make setup` installs: those that both packages ask for, each with its hash."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'requirements'
# The folder of each package, and how requirements/setup.in names it.
PACKAGES = {'hier_seg_ros': '.', 'hier_seg_trainer': './hier_seg_trainer'}


def chosen_extras(package: str) -> list[str]:
    """Return the extras of a package that `make setup` installs."""
    folder = re.escape(PACKAGES[package])
    match = re.search(rf'^--editable {folder}\[(.*)\]$', (FOLDER / 'setup.in').read_text(), re.M)
    return match[1].split(',')


def locked(name: str) -> list[Requirement]:
    """Return the requirements of a file without their hashes."""
    text = (FOLDER / name).read_text().replace('\\\n', '')
    lines = [line for line in text.splitlines() if not line.startswith('#')]
    return [Requirement(line.split(' --hash')[0]) for line in lines]


@pytest.mark.parametrize('package', PACKAGES)
def test_all_that_a_package_asks_for_is_there(package):
    try:
        wanted = requires(package)
    except PackageNotFoundError:
        pytest.skip(f'{package} is not installed by pip here')
    extras = chosen_extras(package)
    versions: dict[str, list[str]] = {}
    for requirement in locked('setup.txt'):
        if requirement.marker is None or requirement.marker.evaluate():
            (version,) = requirement.specifier
            versions.setdefault(canonicalize_name(requirement.name), []).append(version.version)
    for requirement in map(Requirement, wanted):
        environments = [{**default_environment(), 'extra': extra} for extra in ('', *extras)]
        if requirement.name == 'hier_seg_ros' or (
            requirement.marker is not None
            and not any(requirement.marker.evaluate(each) for each in environments)
        ):
            continue
        (version,) = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f'{requirement}: {version} is locked'


@pytest.mark.parametrize('name', ['setup.txt', 'without_dependencies.txt'])
def test_every_version_has_a_hash_and_no_index_is_named(name):
    text = (FOLDER / name).read_text()
    assert '://' not in text and 'index' not in re.sub(
        r'^[\w-]*index[\w-]*==', '', text, flags=re.M
    )
    entries = [line for line in text.replace('\\\n', '').splitlines() if not line.startswith('#')]
    assert len(entries) > 1
    for entry in entries:
        assert re.fullmatch(r'[a-z0-9-]+==[^ ]+( ; [^#]*?)?( +--hash=sha256:[0-9a-f]{64})+', entry)
