# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the times of the engines into docs/engines.md, from what the benchmark has written.

    python docs/make_engine_table.py

The table begins after the line ``<!-- times -->`` and ends before ``<!-- end -->``.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'engines.md'
RESULTS = ROOT / 'benchmarks' / 'results' / 'engines.json'


def main() -> None:
    """Write the page."""
    PAGE.write_text(engines_page(), encoding='utf-8')


def engines_page() -> str:
    """Return the page with the table as it should be."""
    text = PAGE.read_text(encoding='utf-8')
    before, begin, rest = text.partition('<!-- times -->')
    _, end, after = rest.partition('<!-- end -->')
    if not end:
        raise SystemExit(f'{PAGE}: has no place for the times')
    return '\n'.join([before + begin, '', *_table(), '', end + after])


def _table() -> list[str]:
    results = json.loads(RESULTS.read_text(encoding='utf-8'))['results']
    columns = list(dict.fromkeys(name.partition(', ')[2] for name in results if ' in ' in name))
    rows: dict[str, list[str]] = {}
    peer = ''
    for name, numbers in results.items():
        engine, _, _ = name.partition(', ')
        cell = f'{numbers["median_ms"]:.0f} ({numbers["ratio_to_peer"]:.2f})'
        if ' in ' in name:
            rows.setdefault(engine, []).append(cell)
        else:
            peer = f'The peer, {name}, takes {numbers["median_ms"]:.0f} ms.'
    return [
        f'| | {" | ".join(column.replace("x", " × ") for column in columns)} |',
        f'|---|{"---|" * len(columns)}',
        *(f'| {engine} | {" | ".join(cells)} |' for engine, cells in rows.items()),
        '',
        peer,
    ]


if __name__ == '__main__':
    main()
