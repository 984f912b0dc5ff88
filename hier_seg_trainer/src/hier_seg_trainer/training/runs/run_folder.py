# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run folder says about its run: the experiment, the versions, the command."""

from __future__ import annotations

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
from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.files.writing import write_text
from hier_seg_ros.segmenter.model_folder import MODEL_FILE
from hier_seg_trainer import __version__
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.options.parsing import as_plain, parse
from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT

EXPERIMENT_FILE = 'experiment.yaml'
VERSIONS_FILE = 'versions.yaml'
MODEL_FOLDER = 'model'
_ADVICE = 'use another --run'


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
    """Check that the checkpoint in a run folder, if there is one, is of an experiment.

    Parameters
    ----------
    folder
        The run folder.
    experiment
        The experiment.
    advice
        The end of the error's line.
    free
        Keys that may differ.

    Raises
    ------
    HierSegError
        The run has other settings, or they cannot be read.

    """
    path = folder / EXPERIMENT_FILE
    if not (path.is_file() and (folder / CHECKPOINT).is_file()):
        return
    before = read_yaml(path, _ADVICE)
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

    Raises
    ------
    HierSegError
        The folder cannot be written, the model could not be put there once the run is over, or it
        holds a run of another experiment: its checkpoint would go on under other rules than it
        began with.

    """
    check_settings(folder, experiment, 'use another --run folder, or restore the settings')
    model = folder / MODEL_FOLDER
    if model.exists() and not (model / MODEL_FILE).is_file():
        raise HierSegError(
            f'{model}: is no model folder, but the model is to be written there; {_ADVICE}'
        )
    for name, content in (
        (EXPERIMENT_FILE, as_plain(experiment)),
        (VERSIONS_FILE, {'command': command, **versions()}),
    ):
        write_text(folder / name, yaml.safe_dump(content, sort_keys=False), _ADVICE)
