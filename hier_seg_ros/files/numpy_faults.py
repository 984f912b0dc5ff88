# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Libraries that were built for another NumPy than the installed one, named in one line.

The usual case: a distribution's SciPy or OpenCV beside a NumPy that pip has installed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import metadata
from traceback import walk_tb

from hier_seg_ros.errors import HierSegError

# How extension modules say it, by their age and the tool that made them: NumPy's own macros,
# pybind11, Cython; and PyTorch.
_SAYINGS = re.compile(
    r'_ARRAY_API not found'
    r'|numpy\._?core\.(multiarray|umath) failed to import'
    r'|numpy\.\w+ size changed, may indicate binary incompatibility'
    r'|compiled against (ABI|API) version'
    r'|compiled using NumPy 1\.x cannot be run'
    r"|No module named 'numpy\._core"
    r'|Numpy is not available'
)
# Whose code runs on the way to the library that fails.
_OTHERS = {'', '__main__', 'hier_seg_ros', 'hier_seg_trainer', 'importlib', 'numpy'}


@contextmanager
def numpy_faults_named() -> Iterator[None]:
    """Import libraries within; what NumPy writes to stderr about one that does not fit is dropped.

    Raises
    ------
    HierSegError
        One was built for another NumPy.

    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except (AttributeError, ImportError, RuntimeError, SystemError, TypeError, ValueError) as error:
        fault = numpy_fault(error)
        if fault:
            said = io.StringIO()
            raise HierSegError(fault) from error
        raise
    finally:
        sys.stderr.write(said.getvalue())


def numpy_fault(error: BaseException) -> str:
    """Return which library is meant, and what to do, where an error says that NumPy does not fit.

    Parameters
    ----------
    error
        What an import raised.

    Returns
    -------
    str
        One line that names the library and NumPy; empty where the error says something else.

    """
    chain = [error, *(each for each in (error.__cause__, error.__context__) if each is not None)]
    if not any(_SAYINGS.search(str(each)) for each in chain):
        return ''
    names = [frame.f_globals.get('__name__', '') for frame, _ in walk_tb(error.__traceback__)]
    tops = [name.partition('.')[0] for name in names]
    package = next((top for top in reversed(tops) if top not in _OTHERS), '')
    library, version = _distribution(package)
    numpy = _version('numpy')
    if numpy.partition('.')[0] in ('', '0', '1'):
        built, advice = 'a newer NumPy', 'pip install --upgrade numpy'
    else:
        built, advice = 'NumPy 1', f"pip install --upgrade {library}, or pip install 'numpy<2'"
    return f'{library} {version} was built for {built}, and NumPy {numpy} is installed; {advice}'


def _distribution(package: str) -> tuple[str, str]:
    """Return what pip calls a package, and its version, as far as that is known."""
    for name in (*metadata.packages_distributions().get(package, ()), package):
        if name and (version := _version(name)):
            return name, version
    return package or 'a library', ''


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ''
