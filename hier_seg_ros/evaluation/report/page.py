# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages in one file: a template with its styles, its scripts and the library of the plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from hier_seg_ros.evaluation.report.pictures import VERDICT_COLORS
from hier_seg_ros.evaluation.report.titles import percent, points, title
from hier_seg_ros.files.writing import write_text


def write_page(path: Path, template: str, **content: Any) -> None:
    """Write a page that needs no other file and no network.

    Parameters
    ----------
    path
        Where it will be.
    template
        The name of a template of this room.
    content
        What the template names. The library of the plots is among it as ``plot_library``; it is
        empty where plotly is not installed, and the page says so.

    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('hier_seg_ros.evaluation.report'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {'percent': percent, 'points': points, 'title_of': title}
    page = environment.get_template(template).render(
        plot_library=plot_library(), verdict_colors=VERDICT_COLORS, **content
    )
    write_text(path, page)


def plot_library() -> str:
    """Return plotly.js as the Python package plotly brings it; '' where it is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return ''
    # What would end the script of the page early can only stand in a text there.
    library: str = get_plotlyjs()
    return library.replace('</script', '<\\/script').replace('<!--', '<\\!--')
