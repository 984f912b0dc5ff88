# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate_bag compare`: numbers against an independent count, conditions, exit codes, misfits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import drawn, opened, place_in_plot, scroll_through, started_browser
from scenes import noise, write_predictions, write_recording

from hier_seg_ros.evaluation.comparison.bootstrap import blocks_of, intervals
from hier_seg_ros.evaluation.comparison.conditions import holds, look_up, parse_condition
from hier_seg_ros.evaluation.comparison.differences import Difference, label_scores
from hier_seg_ros.evaluation.comparison.frame_changes import FrameChange, most_changed
from hier_seg_ros.evaluation.comparison.runs import tallies_of
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.scoring.label_scores import class_scores

FRAMES = 40


def evaluate(bag: Path, predictions: Path, out: Path) -> Path:
    assert main([str(bag), '--predictions', str(predictions), '--out', str(out)]) == 0
    return out


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory, street_tree: Hierarchy) -> tuple[Path, Path]:
    """Return two evaluations: the second has less noise, but takes the car for a bus."""
    folder = tmp_path_factory.mktemp('runs')
    ids = {node.name: node.id for node in street_tree.nodes}
    more, less = (noise(share, ids['nature--vegetation']) for share in (0.06, 0.04))

    def bus(number: int, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        found = less(number, labels, generator)
        if number % 4 == 0:
            found[found == ids['object--vehicle--car']] = ids['object--vehicle--bus']
        return found

    bag = write_recording(folder / 'street', street_tree, FRAMES)
    found = []
    for name, fault, seed in (('first', more, 1), ('second', bus, 2)):
        predictions = write_predictions(folder / f'{name}_p', street_tree, FRAMES, fault, seed=seed)
        found.append(evaluate(bag, predictions, folder / name))
    return found[0], found[1]


@pytest.fixture(scope='module')
def compared(
    runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp('comparison') / 'out'
    expression = 'level_1.IoU.Car < -0.01'
    assert main(['compare', *map(str, runs), '--out', str(out), '--fail-if', expression]) == 3
    return out, json.loads((out / 'comparison.json').read_text())


Compare = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Return a function that compares two folders; exit code, output and errors."""

    def run(first: Path, second: Path, *more: str) -> tuple[int, str, str]:
        code = main(['compare', str(first), str(second), '--out', str(tmp_path / 'out'), *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.strip()

    return run


def test_scores_are_those_of_the_runs(
    runs: tuple[Path, Path], compared: tuple[Path, dict[str, Any]]
) -> None:
    # All frames are common, so what is added up of frames is what the runs say of the whole.
    differences = compared[1]['differences']
    for side, run in zip(('first', 'second'), runs, strict=True):
        scores = json.loads((run / 'scores.json').read_text())
        for output, one in scores['scores'].items():
            for key in ('mIoU', 'mPA', 'PA'):
                for rule, suffix in (('paper', ''), ('cityscapes', '.cityscapes')):
                    found = differences[f'{output}.{key}{suffix}'][side]
                    assert found == pytest.approx(one[key][rule], abs=1e-12)
            for entry in one['classes']:
                if output == 'level_1' and entry['name'] == 'Car':
                    found = differences['level_1.IoU.object--vehicle--car'][side]
                    assert found == pytest.approx(entry['iou']['paper'], abs=1e-12)
        assert differences['signs.found_share'][side] == scores['signs']['found_share']
        assert differences['detections.mAP'][side] == scores['detections']['mAP']
        confidence = scores['without_truth']['confidence']
        assert differences['confidence'][side] == pytest.approx(confidence, abs=1e-9)


def test_what_changed_is_told_from_noise(compared: tuple[Path, dict[str, Any]]) -> None:
    differences = compared[1]['differences']
    car = differences['level_1.IoU.object--vehicle--car']
    assert car['verdict'] == 'loss' and car['interval'][1] < 0
    assert differences['level_1.IoU.nature--vegetation']['verdict'] == 'gain'
    assert differences['confidence']['verdict'] == ''
    for one in differences.values():
        if one['interval'] is not None:
            low, high = one['interval']
            assert low - 1e-12 <= one['difference'] <= high + 1e-12


def test_the_same_fault_by_other_chance_is_no_difference(
    street_tree: Hierarchy, tmp_path: Path, compare: Compare
) -> None:
    wrong = next(node.id for node in street_tree.nodes if node.name == 'nature--vegetation')
    bag = write_recording(tmp_path / 'street', street_tree, FRAMES)
    first, second = (
        evaluate(
            bag,
            write_predictions(
                tmp_path / f'p{seed}', street_tree, FRAMES, noise(0.05, wrong), seed=seed
            ),
            tmp_path / f'run{seed}',
        )
        for seed in (1, 2)
    )
    code, out, _ = compare(first, second, '--fail-if', 'level_1.mIoU.high < 0')
    assert code == 0 and 'does not hold' in out
    differences = json.loads((tmp_path / 'out' / 'comparison.json').read_text())['differences']
    assert differences['level_1.mIoU']['verdict'] == ''
    assert differences['level_1.mIoU']['difference'] != 0


def test_a_run_against_itself(runs: tuple[Path, Path], compare: Compare) -> None:
    code, out, errors = compare(runs[0], runs[0], '--fail-if', 'level_1.mIoU < 0')
    assert (code, errors) == (0, '') and 'level_1.mIoU' in out and 'better' not in out


@pytest.mark.parametrize(
    ('expression', 'code'),
    [
        ('level_1.mIoU < -1', 0),
        ('level_1.IoU.Car<-1%', 3),
        ('level_1.IoU.object--vehicle--car <= -0.01', 3),
        ('level_1.IoU.car < −1 %', 3),
        ('level_1.IoU.Vegetation.low < 0', 0),
        ('level_1.IoU.Vegetation.low>0', 3),
        ('confidence < 0', 0),
        ('confidence >= 0', 3),
        ('detections.mAP > 1e3', 0),
        ('level_3.accuracy.Car < -.01', 3),
    ],
)
def test_conditions(runs: tuple[Path, Path], compare: Compare, expression: str, code: int) -> None:
    found, out, _ = compare(*runs, '--fail-if', 'level_1.mIoU < -1', '--fail-if', expression)
    assert found == code
    assert repr(expression) in out


@pytest.mark.parametrize(
    ('expression', 'line'),
    [
        ('level_1.mIoU', 'is no comparison'),
        ('level_1.mIoU < ', 'is no comparison'),
        ('< 0.1', 'is no comparison'),
        ('level_1.mIoU < 0 and 1', 'is no comparison'),
        ('level_1.mIoU == 0', 'is no comparison'),
        ('level_1.mIoU < nan', 'is no comparison'),
        ('level_1.mIoU < 0x10', 'is no comparison'),
        ('-1 < level_1.mIoU < 0', 'is no comparison'),
        ('__import__("os").getcwd() < 0', "there is no score '__import__"),
        ('level_1.mIuO < 0', "did you mean 'level_1.mIoU'?"),
        ('level_1.IoU.Cra < 0', "did you mean 'level_1.IoU.Car'?"),
        ('xyzzy < 0', 'choose one of these'),
        ('level_1.IoU.Bus < 0', 'there is no score'),  # in no frame's truth
        ('detections.mAP.low < 0', 'has no interval'),
    ],
)
def test_wrong_condition_is_refused(
    runs: tuple[Path, Path], compare: Compare, tmp_path: Path, expression: str, line: str
) -> None:
    code, _, errors = compare(*runs, '--fail-if', expression)
    assert code == 1 and '\n' not in errors
    assert errors.startswith('evaluate_bag: --fail-if: ') and line in errors
    if 'there is no score' in line or 'did you mean' in line:
        assert 'level_1.mIoU' in errors
    assert not (tmp_path / 'out').exists()


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def copies(runs: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Return what a build server keeps of two runs: the numbers, and no pictures."""
    for run in runs:
        (tmp_path / run.name).mkdir()
        for name in ('scores.json', 'frames.jsonl'):
            shutil.copy(run / name, tmp_path / run.name)
    return tmp_path / 'first', tmp_path / 'second'


def test_numbers_alone_are_enough(copies: tuple[Path, Path], compare: Compare) -> None:
    code, out, errors = compare(*copies)
    assert (code, errors) == (0, '') and f'{FRAMES} frames in both runs' in out


def frame_lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / 'frames.jsonl').read_text().splitlines()]


def write_frame_lines(run: Path, lines: list[dict[str, Any]]) -> None:
    (run / 'frames.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def other_bag(first: Path, second: Path) -> None:
    change(second / 'scores.json', lambda scores: scores['bags'][0].update(path='/data/night'))


def other_tree(first: Path, second: Path) -> None:
    def edit(scores: dict[str, Any]) -> None:
        tree = scores['state']['hierarchy']
        tree['nodes'] = [node for node in tree['nodes'] if node['name'] != 'object--mailbox']

    change(second / 'scores.json', edit)


def other_truth(first: Path, second: Path) -> None:
    lines = frame_lines(second)
    lines[3]['confusion']['level_2'][0][2] += 1
    write_frame_lines(second, lines)


def older(first: Path, second: Path) -> None:
    change(first / 'scores.json', lambda scores: scores.pop('version'))


def no_frames(first: Path, second: Path) -> None:
    (second / 'frames.jsonl').unlink()


def broken_frame(first: Path, second: Path) -> None:
    with (second / 'frames.jsonl').open('a') as file:
        file.write('{"frame": ')


def incomplete_frame(first: Path, second: Path) -> None:
    with (second / 'frames.jsonl').open('a') as file:
        file.write('{"frame": "x", "bag": 7}\n')


def no_scores(first: Path, second: Path) -> None:
    (first / 'scores.json').write_text('[]')


@pytest.mark.parametrize(
    ('spoil', 'line'),
    [
        (other_bag, 'the one is of street, the other of night'),
        (other_tree, 'differ: only one has object--mailbox'),
        (other_truth, 'another ground truth for level_2 in 1 of 40 frames (003)'),
        (older, 'scores.json: has version 1'),
        (no_frames, 'frames.jsonl: cannot be read (No such file or directory)'),
        (broken_frame, 'line 41: is not valid JSON'),
        (incomplete_frame, 'its results cannot be used'),
        (no_scores, 'holds no scores'),
    ],
)
def test_runs_that_do_not_fit_are_named(
    copies: tuple[Path, Path],
    compare: Compare,
    tmp_path: Path,
    spoil: Callable[[Path, Path], None],
    line: str,
) -> None:
    spoil(*copies)
    code, _, errors = compare(*copies)
    assert code == 1 and '\n' not in errors and line in errors
    assert not (tmp_path / 'out').exists()


def test_frames_of_one_run_only_are_left_out_and_named(
    copies: tuple[Path, Path], compare: Compare
) -> None:
    write_frame_lines(copies[1], frame_lines(copies[1])[:-4])
    code, out, _ = compare(*copies)
    assert code == 0
    assert f'{FRAMES - 4} frames in both runs' in out
    assert f'4 frames are only in {copies[0]}' in out


def test_results_are_not_written_over_a_run(
    copies: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (copies[0] / '.evaluate_bag').touch()
    before = sorted(copies[0].iterdir())
    assert main(['compare', *map(str, copies), '--out', str(copies[0])]) == 1
    assert 'choose another --out' in capsys.readouterr().err
    assert sorted(copies[0].iterdir()) == before


# ---- the parts ----


def test_tallies_give_the_scores_of_the_confusion_matrix() -> None:
    generator = np.random.default_rng(3)
    matrix = generator.integers(0, 50, (256, 256))
    matrix[generator.random((256, 256)) < 0.7] = 0
    matrix[40:255] = 0  # classes without truth
    entries = np.array([[t, p, matrix[t, p]] for t, p in np.argwhere(matrix)])
    tallies = tallies_of(entries)
    tallies = tallies[tallies[:, 2] > 0]
    names = [str(one) for one in tallies[:, 0]]
    scores = label_scores(tallies[None, :, 1:].astype(float), names)
    for rule, suffix in (('paper', ''), ('cityscapes', '.cityscapes')):
        wanted = class_scores(matrix, rule)
        assert wanted.classes.tolist() == tallies[:, 0].tolist()
        assert scores[f'mIoU{suffix}'][0] == pytest.approx(wanted.mean_iou)
        assert scores[f'mPA{suffix}'][0] == pytest.approx(wanted.mean_accuracy)
    wanted = class_scores(matrix, 'paper')
    found = [scores[f'IoU.{name}'][0] for name in names]
    np.testing.assert_allclose(found, wanted.iou)


def mean(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {'mean': sums[:, 0] / sums[:, 1]}


def counted(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def test_interval_is_as_wide_as_theory_says() -> None:
    generator = np.random.default_rng(0)
    hard = generator.normal(0, 5, 2000)  # a scene that is hard is hard for both
    first, second = hard + generator.normal(0, 1, 2000), hard + generator.normal(0.5, 1, 2000)
    low, high = intervals(counted(first), counted(second), np.arange(2000), mean)['mean']
    error = np.sqrt(2 / 2000)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    assert (low + high) / 2 == pytest.approx((second - first).mean(), abs=0.2 * error)


def test_blocks_keep_neighbours_from_counting_as_evidence() -> None:
    generator = np.random.default_rng(0)
    # Ten frames of a second show the same: there are 100 scenes, not 1,000.
    differences = np.repeat(generator.normal(0, 1, 100), 10)
    seconds = np.arange(1000) / 10
    zero = counted(np.zeros(1000))
    widths = []
    for length in (0.0, 1.0):
        blocks = blocks_of(['a'] * 1000, list(seconds), length)
        low, high = intervals(zero, counted(differences), blocks, mean)['mean']
        widths.append(high - low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_same_seed_same_interval() -> None:
    values = counted(np.random.default_rng(0).normal(0, 1, 50))
    zero, blocks = counted(np.zeros(50)), np.arange(50)
    once, again, other = (intervals(zero, values, blocks, mean, seed) for seed in (0, 0, 1))
    assert once == again != other


def test_one_block_has_no_interval() -> None:
    values = counted(np.ones(3))
    assert intervals(values, values, np.zeros(3, int), mean) == {'mean': None}


def test_blocks_lie_within_recordings_and_are_not_too_few() -> None:
    bags = ['a'] * 30 + ['b'] * 30
    seconds = [number / 10 for number in range(30)] * 2
    blocks = blocks_of(bags, seconds, 1.0)
    assert len(set(blocks)) >= 20
    assert not set(blocks[:30]) & set(blocks[30:])
    assert np.all(np.diff(blocks) >= 0)
    assert blocks_of(['a'] * 5, [0.0] * 5, 1.0).tolist() == [0, 1, 2, 3, 4]
    long = blocks_of(['a'] * 1000, [number / 10 for number in range(1000)], 1.0)
    assert np.bincount(long).tolist() == [10] * 100


def test_less_can_be_better() -> None:
    one = Difference('flicker.level_1', 0.2, 0.1, (-0.15, -0.05), less_is_better=True)
    assert one.verdict == 'gain'
    assert Difference('level_1.mIoU', 0.2, 0.1, (-0.15, -0.05)).verdict == 'loss'
    assert Difference('level_1.mIoU', 0.2, 0.1, (-0.15, 0.0)).verdict == ''


def test_condition_on_what_one_run_lacks_is_refused() -> None:
    lacking = {'detections.mAP': Difference('detections.mAP', 0.5, None)}
    condition = parse_condition('detections.mAP < 0')
    with pytest.raises(Exception, match='is not known in both runs'):
        look_up(condition, lacking)
    known = Difference('detections.mAP', 0.5, 0.4)
    assert holds(condition, look_up(condition, {'detections.mAP': known}))


def test_most_changed_frames_come_first() -> None:
    values = [0.1, -0.3, None, 0.0, 0.4, -0.1]
    changes = [
        FrameChange(place, str(place), str(place), 'a', 0.0, {}, value)
        for place, value in enumerate(values)
    ]
    losses, gains = most_changed(changes, 5)
    assert [one.place for one in losses] == [1, 5] and [one.place for one in gains] == [4, 0]


# ---- the page ----


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with started_browser() as found:
        yield found


@pytest.fixture(scope='module')
def page_file(
    compared: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the page alone in a folder."""
    return Path(shutil.copy(compared[0] / 'compare.html', tmp_path_factory.mktemp('alone')))


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [1200, 390])
def test_page_opens_anywhere(browser: Any, page_file: Path, scheme: str, width: int) -> None:
    viewport = {'width': width, 'height': 900}
    with opened(browser, page_file, color_scheme=scheme, viewport=viewport) as page:
        scroll_through(page)
        for plot in ('class-changes', 'frame-changes'):
            drawn(page, plot)
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert page.pdf().startswith(b'%PDF')


def test_page_is_used(browser: Any, page_file: Path, compared: tuple[Path, dict[str, Any]]) -> None:
    with opened(browser, page_file) as page:
        assert 'yes: failed' in page.locator('main').inner_text()
        header = page.locator('table.classes').first.locator('th', has_text='Difference')
        header.locator('button').press('Enter')
        header.locator('button').press('Enter')
        first_row = page.locator('table.classes').first.locator('tbody tr').first
        assert 'Car' in first_row.inner_text() and 'worse' in first_row.inner_text()
        car = compared[1]['differences']['level_1.IoU.object--vehicle--car']['difference']
        drawn(page, 'class-changes')
        page.mouse.move(*place_in_plot(page, 'class-changes', car / 2, 'Car'))
        label = page.locator('#class-changes .hoverlayer .hovertext')
        label.wait_for()
        assert f'{100 * car:.2f} points' in label.text_content()
        page.locator('#class-output').select_option('traffic_signs')
        page.wait_for_function(
            "document.getElementById('class-changes').textContent.includes('stop')"
        )


def test_click_on_a_frame_shows_it(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        drawn(page, 'frame-changes')
        value = page.evaluate("JSON.parse(document.getElementById('data').textContent)")
        page.mouse.click(
            *place_in_plot(page, 'frame-changes', 8, value['changes']['outputs']['level_1'][8])
        )
        page.wait_for_function(
            "document.getElementById('clicked').textContent.startsWith('008, street')"
        )
        layers = """[...document.querySelectorAll('.frame figure[data-layer]')]
            .filter((one) => one.checkVisibility()).map((one) => one.dataset.layer)"""
        assert set(page.evaluate(layers)) == {'level_1'}
        page.locator('input[name=level][value=level_3]').check()
        assert set(page.evaluate(layers)) == {'level_3'}


def test_regression_set_of_several_recordings(
    street_tree: Hierarchy, runs: tuple[Path, Path], tmp_path: Path, compare: Compare
) -> None:
    """Two recordings whose frames have the same stamps are told apart by their names."""
    folders = []
    for name in ('first', 'second'):
        folder = tmp_path / name
        folder.mkdir()
        source = runs[0] if name == 'first' else runs[1]
        lines = frame_lines(source)
        write_frame_lines(folder, [*lines, *({**line, 'bag': 1} for line in lines)])
        scores = json.loads((source / 'scores.json').read_text())
        scores['bags'] = [{'path': f'/{name}/day'}, {'path': f'/{name}/night'}]
        (folder / 'scores.json').write_text(json.dumps(scores))
        folders.append(folder)
    code, out, _ = compare(*folders)
    assert code == 0 and f'{2 * FRAMES} frames in both runs' in out
    page = (tmp_path / 'out' / 'compare.html').read_text()
    assert '<td>day</td>' in page and '<td>night</td>' in page
