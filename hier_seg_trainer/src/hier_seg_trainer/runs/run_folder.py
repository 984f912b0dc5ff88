# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run folder says about its run: the experiment, the versions, the command."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.model_folder import MODEL_FILE
from hier_seg_trainer import __version__
from hier_seg_trainer.configuration import Experiment, as_plain, parse
from hier_seg_trainer.runs.checkpoint import CHECKPOINT

EXPERIMENT_FILE = 'experiment.yaml'
VERSIONS_FILE = 'versions.yaml'
MODEL_FOLDER = 'model'


def versions() -> dict[str, str]:
    """Return the versions of what the outcome of a run depends on."""
    return {
        'hier_seg_trainer': __version__,
        'python': platform.python_version(),
        'torch': str(torch.__version__),
        'torchvision': str(torchvision.__version__),
        'timm': timm.__version__,
        'numpy': np.__version__,
    }


def check_settings(
    folder: Path, experiment: Experiment, advice: str, free: Collection[str] = ()
) -> None:
    """Raise HierSegError, which ends with `advice`, if the checkpoint in a run folder has others.

    Without a checkpoint there is nothing that they must agree with. The keys in `free` may differ.
    """
    path = folder / EXPERIMENT_FILE
    if not (path.is_file() and (folder / CHECKPOINT).is_file()):
        return
    try:
        before = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'{path}: cannot be read ({reason}); use another --run') from error
    # What an older version did not know yet it ran with as the defaults say.
    with suppress(HierSegError):
        before = as_plain(parse(Experiment, before))
    content = as_plain(experiment)
    if not isinstance(before, dict):
        before = {}
    keys = [key for key in content if key not in free and before.get(key) != content[key]]
    keys += [str(key) for key in before if key not in content]
    if keys:
        raise HierSegError(
            f'{folder}: holds a run with other settings ({", ".join(keys)}); {advice}'
        )


def record_run(folder: Path, experiment: Experiment, command: list[str]) -> None:
    """Write the experiment, the versions and the command into a run folder.

    Raises HierSegError if the folder cannot be written, if the model could not be put there once
    the run is over, or if it holds a run of another experiment: its checkpoint would go on under
    other rules than it began with.
    """
    check_settings(folder, experiment, 'use another --run folder, or restore the settings')
    model = folder / MODEL_FOLDER
    if model.exists() and not (model / MODEL_FILE).is_file():
        raise HierSegError(
            f'{model}: is no model folder, but the model is to be written there; use another --run'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_yaml(folder / EXPERIMENT_FILE, as_plain(experiment))
        _write_yaml(folder / VERSIONS_FILE, {'command': command, **versions()})
    except OSError as error:
        raise HierSegError(f'{folder}: cannot be written ({error}); use another --run') from error


def _write_yaml(path: Path, content: object) -> None:
    partial = path.with_suffix('.partial')
    try:
        partial.write_text(yaml.safe_dump(content, sort_keys=False), encoding='utf-8')
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
