# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the parsers that are ours, with atheris.

    python test/fuzz/fuzz_parsers.py --seconds 600 --json benchmarks/results/fuzz_parsers.json
    python test/fuzz/fuzz_parsers.py tree mcap --seconds 60
    python test/fuzz/fuzz_parsers.py --collect

It begins with the files of ``corpus/``. What a parser fails for is kept in ``out/fuzz/crashes``; it
becomes a file of the corpus once it is corrected. ``--collect`` puts what has been found to reach
other lines into the corpus, the smallest first. atheris is the extra ``fuzz`` of the package.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / name) for name in ('test', 'benchmarks')]

CORPUS = Path(__file__).resolve().parent / 'corpus'
FOUND = ROOT / 'out/fuzz'
MOST_SECONDS_OF_AN_INPUT = 10
MOST_MEBIBYTES = 3000
# Of a file of the corpus, and of all of one parser's.
MOST_BYTES = 4096
MOST_BYTES_OF_A_PARSER = 16_384


def run_child(name: str, arguments: list[str]) -> None:
    """Fuzz one parser in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=['hier_seg_ros', 'hier_seg_trainer']):
        import parsers

    def test_one_input(data: bytes) -> None:
        parsers.parse(name, data)

    atheris.Setup([sys.argv[0], *arguments], test_one_input)
    atheris.Fuzz()


def fuzz(name: str, seconds: int) -> dict[str, Any]:
    """Fuzz one parser in a process of its own; return the numbers."""
    found, crashes = FOUND / name, FOUND / 'crashes'
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f'-max_total_time={seconds}',
        f'-timeout={MOST_SECONDS_OF_AN_INPUT}',
        f'-rss_limit_mb={MOST_MEBIBYTES}',
        f'-artifact_prefix={crashes}/{name}-',
        *('-print_final_stats=1', '-max_len=65536', '-seed=1'),
    ]
    text = _run_libfuzzer(name, [*options, str(found), str(CORPUS / name)])
    coverage = [int(number) for number in re.findall(r'cov: (\d+)', text)]
    statistics = dict(re.findall(r'stat::(\w+):\s+(\d+)', text))
    crash = re.search(r'Test unit written to (\S+)', text)
    return {
        'parser': name,
        'executions': int(statistics.get('number_of_executed_units', 0)),
        'coverage_at_first': coverage[0] if coverage else 0,
        'coverage': max(coverage, default=0),
        'peak_mebibytes': int(statistics.get('peak_rss_mb', 0)),
        'slowest_unit_seconds': int(statistics.get('slowest_unit_time_sec', 0)),
        'crash': str(Path(crash[1]).name) if crash else '',
        'said': text[-3000:] if crash or not coverage else '',
    }


def _run_libfuzzer(name: str, arguments: list[str]) -> str:
    child = subprocess.run(
        [sys.executable, __file__, '--child', name, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    return child.stderr.decode(errors='replace')


def collect(name: str) -> int:
    """Put what reaches lines that the corpus does not into it; return the bytes it has then."""
    folder, chosen = CORPUS / name, FOUND / f'{name}-chosen'
    chosen.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    _run_libfuzzer(name, ['-merge=1', str(chosen), str(folder), str(FOUND / name)])
    size = sum(path.stat().st_size for path in folder.iterdir())
    known = {path.read_bytes() for path in folder.iterdir()}
    for path in sorted(chosen.iterdir(), key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        if data in known or len(data) > MOST_BYTES:
            continue
        if size + len(data) > MOST_BYTES_OF_A_PARSER:
            break
        (folder / path.name[:12]).write_bytes(data)
        size += len(data)
    return size


def main() -> int:
    """Run the program; return the exit code."""
    if sys.argv[1:2] == ['--child']:
        run_child(sys.argv[2], sys.argv[3:])
    from measurement import circumstances, print_table, write_result
    from parsers import PARSERS

    arguments = _parser(list(PARSERS)).parse_args()
    names = arguments.parsers or list(PARSERS)
    if arguments.collect:
        for name in names:
            print(f'{name}: {collect(name)} bytes')
        return 0
    before = circumstances()
    results = []
    for name in names:
        results.append(fuzz(name, arguments.seconds))
        print(f'{name}: {results[-1]}', flush=True)
        # After each, since all of them may take hours.
        write_result(
            {**before, 'seconds_of_each': arguments.seconds, 'results': results}, arguments.json
        )
    columns = list(results[0])[:-1]
    print_table(columns, [[result[column] for column in columns] for result in results])
    return int(any(result['said'] for result in results))


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description='Coverage-guided fuzzing of the parsers that are ours, with atheris.'
    )
    parser.add_argument('parsers', nargs='*', choices=[[], *names], help='(default: all)')
    parser.add_argument('--seconds', type=int, default=600, help='for each parser (%(default)s)')
    parser.add_argument('--collect', action='store_true', help='put what was found into corpus/')
    parser.add_argument('--json', type=Path, help='write the numbers to this file')
    return parser


if __name__ == '__main__':
    sys.exit(main())
