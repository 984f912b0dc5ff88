# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run folder says about its run: the experiment, the versions, the command."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import timm
import torch
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.configuration import Experiment, as_plain

EXPERIMENT_FILE = 'experiment.yaml'
VERSIONS_FILE = 'versions.yaml'


def record_run(folder: Path, experiment: Experiment, command: list[str]) -> None:
    """Write the experiment, the versions and the command into a run folder.

    Raises HierSegError if the folder holds a run of another experiment: its checkpoint would go on
    under other rules than it began with.
    """
    path = folder / EXPERIMENT_FILE
    content = as_plain(experiment)
    if path.is_file():
        try:
            before = yaml.safe_load(path.read_text(encoding='utf-8'))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise HierSegError(f'{path}: cannot be read ({error}); use another --run') from error
        if before != content:
            keys = [
                key
                for key in content
                if not isinstance(before, dict) or before.get(key) != content[key]
            ]
            raise HierSegError(
                f'{folder}: holds a run with other settings ({", ".join(keys)}); '
                f'use another --run folder, or restore the settings'
            )
    versions = {
        'command': command,
        'python': platform.python_version(),
        'torch': str(torch.__version__),
        'timm': timm.__version__,
        'numpy': np.__version__,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding='utf-8')
        text = yaml.safe_dump(versions, sort_keys=False)
        (folder / VERSIONS_FILE).write_text(text, encoding='utf-8')
    except OSError as error:
        raise HierSegError(f'{folder}: cannot be written ({error}); use another --run') from error
