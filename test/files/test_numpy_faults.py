# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Libraries that were built for another NumPy: what they say, and what is made of it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files import numpy_faults
from hier_seg_ros.files.numpy_faults import numpy_fault, numpy_faults_named

SAYINGS = [
    "AttributeError('_ARRAY_API not found')",
    "ImportError('numpy.core.multiarray failed to import')",
    "ImportError('numpy._core.multiarray failed to import')",
    "ImportError('numpy.core.umath failed to import')",
    "ValueError('numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C "
    "header, got 88 from PyObject')",
    "ValueError('numpy.ndarray size changed, may indicate binary incompatibility. Expected 88')",
    "RuntimeError('module compiled against ABI version 0x1000009 but this version of numpy is')",
    'ModuleNotFoundError("No module named \'numpy._core.multiarray\'")',
    "SystemError('initialization of _x raised: numpy.core.multiarray failed to import')",
]
# What NumPy 2 writes by itself before such an error.
PAGE = 'A module that was compiled using NumPy 1.x cannot be run in\\nNumPy 2.4.6 as it may crash.'


def write_library(folder: Path, name: str, module: str, error: str) -> None:
    """Write a library that cannot be imported, and what pip leaves beside it."""
    (folder / name).mkdir()
    (folder / name / '__init__.py').touch()
    code = f'import sys\nprint("{PAGE}", file=sys.stderr)\nraise {error}\n'
    (folder / name / module).write_text(code)
    record = folder / f'lib_{name}-1.9.3.dist-info'
    record.mkdir()
    (record / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: lib-{name}\nVersion: 1.9.3\n')
    (record / 'top_level.txt').write_text(f'{name}\n')


@pytest.mark.parametrize('error', SAYINGS)
def test_both_sides_are_named_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: str,
) -> None:
    write_library(tmp_path, 'misfit', '__init__.py', error)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HierSegError) as raised, numpy_faults_named():
        importlib.import_module('misfit')
    line = str(raised.value)
    assert line.startswith('lib-misfit 1.9.3 was built for ')
    assert f'NumPy {np.__version__} is installed; pip install' in line
    assert '\n' not in line
    assert capsys.readouterr().err == '', "NumPy's page is left out"


def test_what_to_do_depends_on_the_older_side(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ImportError('numpy.core.multiarray failed to import')
    versions = {'numpy': '1.26.4'}
    monkeypatch.setattr(numpy_faults, '_version', lambda name: versions.get(name, ''))
    assert numpy_fault(error).endswith(
        'was built for a newer NumPy, and NumPy 1.26.4 is installed; pip install --upgrade numpy'
    )
    versions['numpy'] = '2.1.0'
    assert 'was built for NumPy 1, and NumPy 2.1.0 is installed' in numpy_fault(error)


@pytest.mark.parametrize(
    'error',
    [ImportError('libGL.so.1: cannot open shared object file'), ValueError('x'), KeyError('numpy')],
)
def test_other_errors_stay_as_they_are(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    with pytest.raises(type(error)) as raised, numpy_faults_named():
        print('a warning', file=sys.stderr)
        raise error
    assert raised.value is error
    assert capsys.readouterr().err == 'a warning\n'


def test_a_command_says_it_in_one_line(tmp_path: Path) -> None:
    write_library(tmp_path, 'scipy', 'ndimage.py', SAYINGS[1])
    code = 'import sys; from hier_seg_ros.evaluation.evaluate_bag import main; sys.exit(main())'
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    result = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path / 'bag')],
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith('evaluate_bag: lib-scipy 1.9.3 was built for ')
