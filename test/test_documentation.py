# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages say that a program can check: links, paths, command lines, the page of the API."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from PIL import Image

from hier_seg_ros.ros.launching import arguments as shared_arguments

ROOT = Path(__file__).resolve().parent.parent
TRAINER = ROOT / 'hier_seg_trainer' / 'src' / 'hier_seg_trainer'
# Made by make, pip, colcon and the tools.
NOT_OURS = {'build', 'install', 'log', 'out', 'node_modules'}
# What paths in the text may be relative to, besides the page.
PLACES = (ROOT, ROOT / 'hier_seg_ros', TRAINER)
SUFFIXES = {'.html', '.json', '.jpg', '.md', '.py', '.rst', '.rviz', '.toml', '.xml', '.yaml'}
# The first part of paths that are the reader's own.
READERS_OWN = {'out', 'runs', 'share'}
SHELLS = {'', 'bash', 'console', 'sh'}
# Options that name what a command is to write.
OUTPUTS = {'--json', '--out', '--onnx', '--record', '--run', '--runs'}
MOST_SKIPPED = 3

# Lets the real commands parse their real command lines, and stops them there. In a process of its
# own, because they install signal handlers, and the wheels of ROS restart Python.
PARSE_ONLY = """
import argparse, contextlib, importlib, io, json, runpy, sys

class Parsed(BaseException):
    pass

def parse_args(self, *arguments, **options):
    original(self, *arguments, **options)
    raise Parsed

original = argparse.ArgumentParser.parse_args
argparse.ArgumentParser.parse_args = parse_args
verdicts = []
for target, words in json.loads(sys.argv[1]):
    sys.argv = words
    errors = io.StringIO()
    verdict = 'ran without parsing its arguments'
    try:
        with contextlib.redirect_stderr(errors):
            if target.endswith('.py'):
                runpy.run_path(target, run_name='__main__')
            else:
                module, _, function = target.partition(':')
                getattr(importlib.import_module(module), function)()
    except Parsed:
        verdict = 'parsed'
    except ImportError as error:
        verdict = f'not installed: {error}'
    except SystemExit:
        verdict = errors.getvalue().strip().splitlines()[-1]
    verdicts.append(verdict)
print(json.dumps(verdicts))
"""


def pages() -> list[Path]:
    """Return every Markdown file of the repository."""
    found = sorted(ROOT.rglob('*.md'))
    parts = {path: path.relative_to(ROOT).parts for path in found}
    return [
        path
        for path in found
        if not any(part.startswith('.') or part in NOT_OURS for part in parts[path])
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield language, line number and lines of each fenced block."""
    fence, language, first, lines = '', '', 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        opening = re.match(r'\s*(```+)(\w*)', line)
        if not fence and opening:
            fence, language, first, lines = opening[1], opening[2], number + 1, []
        elif fence and line.strip() == fence:
            yield language, first, lines
            fence = ''
        elif fence:
            lines.append(line)
    assert not fence, 'a fenced block has no end'


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    lines = text.splitlines()
    for _, first, block in blocks(text):
        for number in range(first - 2, first + len(block)):
            lines[number] = ''
    return '\n'.join(lines)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    used: Counter[str] = Counter()
    for heading in re.findall(r'^#{1,6} +(.+?) *$', prose(text), re.MULTILINE):
        plain = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
        slug = re.sub(r'[^\w\- ]', '', plain.lower()).replace(' ', '-')
        found.add(slug if not used[slug] else f'{slug}-{used[slug]}')
        used[slug] += 1
    return found


def without_code(text: str) -> str:
    return re.sub(r'`[^`\n]*`', '', prose(text))


@pytest.mark.parametrize('page', pages(), ids=name_of)
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding='utf-8')
    wrong = []
    for target in re.findall(r'\]\(([^)\s]+)\)', without_code(text)):
        if re.match(r'[a-z]+:', target):
            continue
        path, _, anchor = target.partition('#')
        linked = page.parent / path if path else page
        if not linked.exists():
            wrong.append(f'{target}: no such file')
        elif anchor and anchor not in anchors(linked.read_text(encoding='utf-8')):
            wrong.append(f'{target}: no such heading')
    assert wrong == []


def is_path(text: str) -> bool:
    """Return whether a piece of code names a file or folder of the repository."""
    if not re.fullmatch(r'[\w.-]+(/[\w.-]+)+/?', text):
        return False
    first = text.split('/')[0]
    if first.isupper() or (first in READERS_OWN and not text.endswith('.py')):
        return False
    if Path(text).suffix in SUFFIXES or (ROOT / first).is_dir():
        return True
    return text.endswith('/') and any((place / first).is_dir() for place in PLACES)


@pytest.mark.parametrize('page', pages(), ids=name_of)
def test_every_path_exists(page):
    pieces = re.findall(r'`([^`\n]+)`', prose(page.read_text(encoding='utf-8')))
    places = (page.parent, *PLACES)
    missing = [
        piece
        for piece in pieces
        if is_path(piece) and not any((place / piece).exists() for place in places)
    ]
    assert missing == []


def test_paths_are_recognised():
    assert is_path('hier_seg_ros/segmenter/outputs.py')
    assert is_path('loss/no_such_module.py')
    assert is_path('config/no_such_file.txt')
    assert is_path('datasets/no_such_folder/')
    assert not is_path('loss/far_from_boxes')
    assert not is_path('camera/image_raw')
    assert not is_path('DATA/pixels.yaml')
    assert not is_path('images/<split>/')


@dataclass(frozen=True)
class Command:
    """A command line of the documentation.

    Attributes
    ----------
    place
        Page and line number.
    words
        The program and its arguments.

    """

    place: str
    words: tuple[str, ...]

    @property
    def has_placeholders(self) -> bool:
        """Whether a word stands for something that no parser can take."""
        return any('…' in word or '<' in word or '...' in word for word in self.words)


def command_lines(lines: list[str], page: str, first: int) -> Iterator[Command]:
    """Yield the commands of a block, with continued lines joined and comments left out."""
    joined, start = '', 0
    for number, line in enumerate(lines, start=first):
        start = start if joined else number
        joined += line
        if joined.endswith('\\'):
            joined = joined[:-1] + ' '
            continue
        for part in re.split(r'\s&&\s|\s\|\s', joined):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a quotation that goes on in the next line is no command of ours
                words = []
            if words:
                yield Command(f'{page}:{start}', tuple(words))
        joined = ''


def documented_commands() -> list[Command]:
    """Return every command line of the pages, and of the comments of configuration files."""
    found = []
    for page in pages():
        for language, first, lines in blocks(page.read_text(encoding='utf-8')):
            if language in SHELLS:
                found += command_lines(lines, name_of(page), first)
    for folder in ('config', 'examples', 'hier_seg_trainer/configs'):
        for path in sorted((ROOT / folder).rglob('*.yaml')):
            lines = path.read_text(encoding='utf-8').splitlines()
            # Commands stand further to the right than text.
            comments = [line[1:] if line.startswith('#   ') else '' for line in lines]
            found += command_lines(comments, name_of(path), 1)
    return found


def entry_points() -> dict[str, str]:
    """Return where each command starts, as module:function."""
    found = {}
    for distribution in ('hier_seg_ros', 'hier_seg_trainer'):
        try:
            points = importlib.metadata.distribution(distribution).entry_points
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f'{distribution} is not installed; run make setup')
        found |= {point.name: point.value for point in points if point.group == 'console_scripts'}
    return found


def program(command: Command, entries: dict[str, str]) -> tuple[str, list[str]] | None:
    """Return what a command line starts and with which words; None if that is not ours."""
    words = list(command.words)
    if words[:3] == ['ros2', 'run', 'hier_seg_ros']:
        words = words[3:]
    elif words[0] == 'torchrun' and 'hier_seg_trainer.cli' in words:
        words = ['hier-seg', *words[words.index('hier_seg_trainer.cli') + 1 :]]
    elif words[0] == 'taskset':
        words = words[3:]
    if words[0] in entries:
        return entries[words[0]], words
    if words[0] == 'python' and words[1].startswith(('benchmarks/', 'demo/')):
        return str(ROOT / words[1]), words[1:]
    return None


def parse(started: list[tuple[str, list[str]]]) -> list[str]:
    """Return for each program and its words 'parsed', or why its parser refuses them."""
    result = subprocess.run(
        [sys.executable, '-c', PARSE_ONLY, json.dumps(started)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_every_command_line_parses():
    entries = entry_points()
    ours = [
        (command, started)
        for command in documented_commands()
        if (started := program(command, entries)) is not None
    ]
    skipped = [command.place for command, _ in ours if command.has_placeholders]
    assert len(skipped) <= MOST_SKIPPED, skipped
    checked = [(command, started) for command, started in ours if not command.has_placeholders]
    # Every command has at least one line, or the search for them is broken.
    assert set(entries.values()) <= {target for _, (target, _) in checked}
    verdicts = parse([started for _, started in checked])
    wrong = [
        f'{command.place}: {shlex.join(command.words)}: {verdict}'
        for (command, _), verdict in zip(checked, verdicts, strict=True)
        if verdict != 'parsed' and not verdict.startswith('not installed')
    ]
    assert wrong == []


def test_the_workflow_for_github_is_one():
    page = ROOT / 'docs' / 'regression.md'
    (text,) = [
        '\n'.join(lines)
        for language, _, lines in blocks(page.read_text(encoding='utf-8'))
        if language == 'yaml'
    ]
    workflow = yaml.safe_load(text)
    # YAML takes the key "on" for true.
    assert workflow[True] == 'pull_request'
    ((_, job),) = workflow['jobs'].items()
    assert job['runs-on'] == 'ubuntu-latest'
    steps = job['steps']
    assert all(('uses' in step) != ('run' in step) for step in steps)
    lines = '\n'.join(step['run'] for step in steps if 'run' in step).splitlines()
    commands = [line for line in lines if line.startswith('evaluate_bag')]
    assert len(commands) == 3 and commands[2].count('--fail-if') == 2
    entry = entry_points()['evaluate_bag']
    assert set(parse([(entry, shlex.split(line)) for line in commands])) == {'parsed'}
    # What the comparison reads is what was written, and what is kept is there.
    outputs = [line.partition('--out ')[2].split()[0] for line in commands]
    assert shlex.split(commands[2])[2:4] == outputs[:2]


def test_a_wrong_command_line_is_found():
    right = 'hier-seg train a.yaml --data DATA --run r'
    wrong_option = 'hier-seg train a.yaml --date DATA --run r'
    wrong_choice = 'hier-seg evaluate m --format camvit --path p'
    target = entry_points()['hier-seg']
    verdicts = parse([(target, line.split()) for line in (right, wrong_option, wrong_choice)])
    assert verdicts[0] == 'parsed'
    assert '--data' in verdicts[1]
    assert "invalid choice: 'camvit'" in verdicts[2]


def test_files_that_commands_read_exist():
    missing = []
    for command in documented_commands():
        for before, word in zip(('', *command.words), command.words, strict=False):
            path = word.partition(':=')[2] or word
            if before not in OUTPUTS and is_path(path) and not (ROOT / path).exists():
                missing.append(f'{command.place}: {word}')
    assert missing == []


def launch_arguments(path: Path) -> set[str]:
    """Return the names that a launch file declares, without the libraries of launch."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'ARGUMENTS':
            assert isinstance(node.value, ast.Tuple)
            first = [row.elts[0] for row in node.value.elts if isinstance(row, ast.Tuple)]
            names |= {ast.literal_eval(name) for name in first}
            shared = [row.id for row in node.value.elts if isinstance(row, ast.Name)]
            names |= {getattr(shared_arguments, name)[0] for name in shared}
        declares = isinstance(node, ast.Call) and ast.unparse(node.func) == 'DeclareLaunchArgument'
        if declares and isinstance(node.args[0], ast.Constant):
            names.add(node.args[0].value)
    return names


def test_every_launch_command_names_declared_arguments():
    files = {path.name: path for name in ('launch', 'examples') for path in (ROOT / name).glob('*')}
    launched, wrong = 0, []
    for command in documented_commands():
        if command.words[:3] != ('ros2', 'launch', 'hier_seg_ros'):
            continue
        launched += 1
        file, *arguments = command.words[3:]
        given = {argument.partition(':=')[0] for argument in arguments if ':=' in argument}
        if file not in files:
            wrong.append(f'{command.place}: {file}: no such launch file')
        elif unknown := given - launch_arguments(files[file]):
            wrong.append(f'{command.place}: {file} has no argument {", ".join(sorted(unknown))}')
    assert launched > 10
    assert wrong == []


@pytest.mark.parametrize('page', pages(), ids=name_of)
def test_no_echo_waits_for_ever(page):
    """With any QoS option `ros2 topic echo` takes best effort, which no latched topic matches."""
    for line in page.read_text(encoding='utf-8').splitlines():
        if 'ros2 topic echo' in line and '--qos-' in line:
            assert '--qos-reliability reliable' in line


def test_the_page_of_the_api_is_what_its_script_makes():
    pytest.importorskip('griffe', reason='needs griffelib (extra lint)')
    script = ROOT / 'docs' / 'make_api_page.py'
    page = runpy.run_path(str(script))['api_page']()
    committed = (ROOT / 'docs' / 'api.md').read_text(encoding='utf-8')
    assert committed == page, 'run python docs/make_api_page.py'


def test_the_times_of_the_engines_are_those_that_were_measured():
    page = runpy.run_path(str(ROOT / 'docs' / 'make_engine_table.py'))['engines_page']()
    committed = (ROOT / 'docs' / 'engines.md').read_text(encoding='utf-8')
    assert committed == page, 'run python docs/make_engine_table.py'


def test_the_page_about_performance_is_what_was_measured():
    made = runpy.run_path(str(ROOT / 'docs' / 'make_performance_page.py'))
    runs = made['measured_runs']()
    for path, text in made['pages'](runs).items():
        committed = path.read_text(encoding='utf-8')
        assert committed == text, 'run python docs/make_performance_page.py'
    for name in made['pictures'](runs):
        path = made['IMAGES'] / name
        assert path.stat().st_size <= 150 * 1024
        with Image.open(path) as picture:
            assert picture.info[made['SOURCE']] == made['source_of_pictures'](), 'likewise'
        assert f'(images/{name})' in (ROOT / 'docs' / 'performance.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('module', ['hier_seg_ros.hierarchy', 'hier_seg_ros.segmenter.segmenter'])
def test_examples_of_the_docstrings_hold(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0
