# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/api.md from the docstrings and signatures of what other programs may import.

    python docs/make_api_page.py

The sources are read, not imported, so neither torch nor ROS is needed; griffe is (extra `lint`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'api.md'

# Title, introduction, and the objects by the name that a program imports them under.
SECTIONS = (
    (
        'Segmenting images',
        'Needs torch, not ROS. `from hier_seg_ros import Segmenter` loads torch when it is first '
        'used.',
        (
            'hier_seg_ros.Segmenter',
            'hier_seg_ros.SegmentationResult',
            'hier_seg_ros.DecisionOptions',
        ),
    ),
    (
        'The label tree',
        'Needs NumPy and PyYAML only.',
        (
            'hier_seg_ros.Hierarchy',
            'hier_seg_ros.hierarchy.Node',
            'hier_seg_ros.hierarchy.Classifier',
        ),
    ),
    (
        'The model folder',
        'A folder with `model.yaml`, `hierarchy.yaml`, `weights.safetensors` and a model card. '
        '`Segmenter.load` reads it; these functions are for programs that make or change models.',
        (
            'hier_seg_ros.segmenter.model_folder.read_model_folder',
            'hier_seg_ros.segmenter.model_folder.write_model_folder',
            'hier_seg_ros.segmenter.model_folder.ModelDescription',
            'hier_seg_ros.segmenter.model_folder.InputOptions',
        ),
    ),
    (
        'Errors',
        '',
        ('hier_seg_ros.HierSegError',),
    ),
)
# The last column of a table is the text.
COLUMNS = {
    griffe.DocstringSectionKind.attributes: ('attribute', 'type', 'meaning'),
    griffe.DocstringSectionKind.parameters: ('parameter', 'type', 'default', 'meaning'),
    griffe.DocstringSectionKind.returns: ('returns', 'meaning'),
    griffe.DocstringSectionKind.raises: ('raises', 'when'),
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(api_page(), encoding='utf-8')


def api_page() -> str:
    """Return the page, in Markdown."""
    loader = griffe.GriffeLoader(search_paths=[ROOT], docstring_parser=griffe.Parser.numpy)
    loader.load('hier_seg_ros')
    lines = [
        '# API',
        '',
        'What a Python program may import. Everything else can change from one version to the '
        'next. (H, W) are height and width in pixels; `Labels` is a NumPy array of uint8. This '
        'page is made from the docstrings by `docs/make_api_page.py`.',
        '',
    ]
    for title, introduction, names in SECTIONS:
        lines += [f'## {title}', '', *([introduction, ''] if introduction else [])]
        for name in names:
            lines += _object(name, _resolve(loader, name))
    return '\n'.join(lines)


def _resolve(loader: griffe.GriffeLoader, name: str) -> griffe.Object:
    found = loader.modules_collection[name]
    return found.final_target if isinstance(found, griffe.Alias) else found


def _object(name: str, documented: griffe.Object) -> Iterator[str]:
    package, _, short = name.rpartition('.')
    yield from (f'### {short}', '', '```python', f'from {package} import {short}')
    if isinstance(documented, griffe.Function):
        yield from ('', _signature(short, documented))
    elif 'dataclass' in documented.labels:
        yield from ('', _signature(short, documented.members['__init__']))
    yield from ('```', '')
    yield from _docstring(documented)
    for member in documented.members.values():
        yield from _member(short, member)


def _member(owner: str, member: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Yield the lines of a public method, of a property or of the constructor."""
    if isinstance(member, griffe.Alias) or member.docstring is None:
        return
    if isinstance(member, griffe.Function):
        if member.name == '__init__':
            title, called = f'{owner}(…)', owner
        elif member.name.startswith('_'):
            return
        else:
            title, called = f'{owner}.{member.name}(…)', f'{owner}.{member.name}'
        code = _signature(called, member)
    elif 'property' in member.labels:
        title = f'{owner}.{member.name}'
        code = f'{title}: {member.annotation}'
    else:
        return
    yield from (f'#### `{title}`', '', '```python', code, '```', '')
    yield from _docstring(member)


def _signature(called: str, function: griffe.Function) -> str:
    """Return how a function is called, one parameter per line where they do not fit into one."""
    parts = []
    keyword_only = False
    for parameter in function.parameters:
        if parameter.name in ('self', 'cls'):
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and not keyword_only:
            keyword_only = True
            parts.append('*')
        default = '' if parameter.default is None else f' = {parameter.default}'
        parts.append(f'{parameter.name}: {parameter.annotation}{default}')
    returns = '' if function.name == '__init__' else f' -> {function.returns}'
    line = f'{called}({", ".join(parts)}){returns}'
    if len(line) <= 88:
        return line
    return '\n'.join([f'{called}(', *(f'    {part},' for part in parts), f'){returns}'])


def _docstring(documented: griffe.Object) -> Iterator[str]:
    assert documented.docstring is not None, documented.path
    for section in documented.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.text:
            yield from (section.value, '')
        elif section.kind is griffe.DocstringSectionKind.examples:
            yield from _examples(section)
        else:
            yield from _table(section, documented)


def _examples(section: griffe.DocstringSection) -> Iterator[str]:
    for kind, text in section.value:
        if kind is griffe.DocstringSectionKind.examples:
            yield from ('```python', text, '```', '')
        else:
            yield from (text, '')


def _table(section: griffe.DocstringSection, documented: griffe.Object) -> Iterator[str]:
    columns = COLUMNS[section.kind]
    yield f'| {" | ".join(columns)} |'
    yield '|---' * len(columns) + '|'
    for item in section.value:
        yield f'| {" | ".join(_cells(item, columns, documented))} |'
    yield ''


def _cells(item: Any, columns: tuple[str, ...], documented: griffe.Object) -> Iterator[str]:
    for column in columns:
        if column in ('attribute', 'parameter'):
            yield _code(item.name)
        elif column in ('returns', 'raises', 'type'):
            yield _code(item.annotation or _annotation_of(documented, item.name))
        elif column == 'default':
            yield _code(item.default)
        else:
            yield ' '.join(item.description.split()).replace('|', '\\|')


def _annotation_of(documented: griffe.Object, name: str) -> Any:
    """Return the type of an attribute: its own, or that of the argument that it is set to."""
    attribute = documented.members.get(name)
    if not isinstance(attribute, griffe.Attribute):
        return None  # set by another method than the constructor
    arguments = {argument.name: argument for argument in documented.parameters}
    if attribute.annotation is None and str(attribute.value) in arguments:
        return arguments[str(attribute.value)].annotation
    return attribute.annotation


def _code(text: Any) -> str:
    # GitHub ends a cell at a bar even where it stands in code.
    return '' if text is None else f'`{text}`'.replace('|', '\\|')


if __name__ == '__main__':
    main()
