# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the files that come with the package lie: configuration, models, launch files, demo.

Imports neither torch nor ROS.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean

PACKAGE_NAME = 'hier_seg_ros'
# The model of the commands for which none is named.
DEFAULT_MODEL = 'street_lite0'


def share_folder() -> Path:
    """Return the folder that holds config/, models/, launch/ and demo/.

    That is the source tree for a checkout or an editable install, else share/hier_seg_ros of
    the prefix that colcon or pip installed into.

    Raises
    ------
    HierSegError
        No such folder exists; the message lists the places looked at.

    """
    tried = []
    for folder in _share_candidates():
        if (folder / 'config' / 'hierarchies').is_dir():
            return folder
        if folder not in tried:
            tried.append(folder)
    raise HierSegError(
        f'{PACKAGE_NAME}: its config/hierarchies folder is in none of '
        f'{", ".join(map(str, tried))}; install the package again'
    )


def find_model(name_or_path: str) -> Path:
    """Return a model folder, given its path or the name of a model that came with the package.

    A folder with a model.yaml is taken as it is. Otherwise 'street_lite0' and
    'models/street_lite0' both mean that folder of the package. Any other existing folder is
    returned too: what it lacks is for the one who loads it to say.

    Raises
    ------
    HierSegError
        It is neither, in which case the message lists the models that there are, or
        the system refuses to look at such a path.

    """
    try:
        return _find_model(name_or_path)
    # No permission, a name that is too long; RuntimeError is what ~ of an unknown user raises.
    except (OSError, RuntimeError, ValueError) as error:
        raise HierSegError(
            f'model {name_or_path!r}: {error}; give the name of a model or the path of a folder'
        ) from error


def _find_model(name_or_path: str) -> Path:
    path = Path(name_or_path).expanduser()
    if name_or_path and (path / 'model.yaml').is_file():
        return path
    models = share_folder() / 'models'
    name = path.name if path.parent in (Path(), Path('models')) else ''
    if name and (models / name / 'model.yaml').is_file():
        return models / name
    if name_or_path and path.is_dir():
        return path
    available = sorted(file.parent.name for file in models.glob('*/model.yaml'))
    hint = did_you_mean(path.name, available, 'give one of these or the path of a folder')
    raise HierSegError(
        f'model {name_or_path!r}: neither a folder nor one of the models in {models}: '
        f'{", ".join(available) or "there are none"}; {hint}'
    )


def find_hierarchy(name_or_path: str) -> Path:
    """Return the file of a label tree, given its path or the name of one in config/hierarchies."""
    bundled = share_folder() / 'config' / 'hierarchies' / f'{name_or_path}.yaml'
    return bundled if bundled.is_file() else Path(name_or_path)


def _share_candidates() -> Iterator[Path]:
    """Yield the places to look at, best first."""
    package = Path(__file__).resolve().parent
    yield package.parent
    # The prefix this very code was installed into (lib/python3.x/site-packages, as both colcon
    # and pip have it) goes before any other, so that code and data are of one version.
    if len(package.parents) > 3:
        yield package.parents[3] / 'share' / PACKAGE_NAME
    # ROS on Debian has other layouts, and there the index knows.
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        pass
    else:
        # OSError is the index's answer where no ROS environment is sourced.
        with suppress(PackageNotFoundError, OSError):
            yield Path(get_package_prefix(PACKAGE_NAME)) / 'share' / PACKAGE_NAME
    yield Path(sys.prefix) / 'share' / PACKAGE_NAME
