# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: each control, in light and dark, on a phone and on paper."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import drawn, opened, place_in_plot, scroll_through, started_browser
from scenes import noise, write_predictions, write_recording

from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.report import page as page_module
from hier_seg_ros.evaluation.report.report import write_report
from hier_seg_ros.hierarchy import Hierarchy

FRAMES = 60  # more than the page shows pictures of
WORST = 37
PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with started_browser() as found:
        yield found


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory, street_tree: Hierarchy) -> Path:
    """Return the folder of an evaluation whose worst frame is known."""
    folder = tmp_path_factory.mktemp('report')
    ids = {node.name: node.id for node in street_tree.nodes}
    spoil = noise(0.05, ids['nature--vegetation'])

    def fault(number: int, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        if number == WORST:
            return np.full_like(labels, ids['nature--sky'])
        return spoil(number, labels, generator)

    bag = write_recording(folder / 'bag', street_tree, FRAMES)
    predictions = write_predictions(folder / 'predictions', street_tree, FRAMES, fault)
    arguments = [str(bag), '--predictions', str(predictions), '--out', str(folder / 'run')]
    assert main([*arguments, '--show', '041', '999']) == 0
    return folder / 'run'


@pytest.fixture(scope='module')
def page_file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report alone in a folder: it needs none of the other files."""
    return Path(shutil.copy(run / 'report.html', tmp_path_factory.mktemp('elsewhere')))


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    with opened(browser, page_file) as found:
        yield found


def shown_frame(page: Any) -> str:
    return str(page.locator('#frame-title').inner_text()).split(',')[0]


def column(page: Any, number: int) -> list[str]:
    """Return a column of the first table of classes."""
    table = page.locator('table.classes').first
    cells = table.locator(f'tbody tr td:nth-child({number})')
    return [text.strip() for text in cells.all_inner_texts()]


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('device', [{}, PHONE], ids=['desk', 'phone'])
def test_page_opens_anywhere(
    browser: Any, page_file: Path, scheme: str, device: dict[str, Any]
) -> None:
    with opened(browser, page_file, color_scheme=scheme, **device) as page:
        scroll_through(page)
        for plot in ('confusion', 'calibration', 'curves', 'shares'):
            drawn(page, plot)
        background, text, tick = page.evaluate(
            """['body', 'h1', '#curves .xtick text'].map((one, place) => {
                const style = getComputedStyle(document.querySelector(one));
                return [style.backgroundColor, style.color, style.fill][place];
            })"""
        )
        light = [sum(map(float, one[4:-1].split(','))) / 3 for one in (background, text, tick)]
        assert (light[0] > 200) == (scheme == 'light')
        # On either, letters stand out from the page, those of the plots, too.
        assert abs(light[0] - light[1]) > 120 and abs(light[0] - light[2]) > 120
        width, content = page.evaluate('[innerWidth, document.documentElement.scrollWidth]')
        assert content <= width
        broken = page.evaluate(
            """[...document.images].filter((image) => image.src && image.checkVisibility()
                && image.complete && image.naturalWidth === 0).length"""
        )
        assert broken == 0


def test_plots_follow_a_change_to_dark(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, color_scheme='light') as page:
        drawn(page, 'curves')
        fill = "getComputedStyle(document.querySelector('#curves .xtick text')).fill"
        before = page.evaluate(fill)
        page.emulate_media(color_scheme='dark')
        page.wait_for_function(f"{fill} !== '{before}'")


def test_tables_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    header = page.locator('table.classes th', has_text='IoU').first
    header.locator('button').click()
    values = [float(text.rstrip('%')) for text in column(page, 4)]
    assert values == sorted(values, reverse=True) and len(set(values)) > 3
    assert header.get_attribute('aria-sort') == 'descending'
    page.keyboard.press('Enter')
    again = [float(text.rstrip('%')) for text in column(page, 4)]
    assert again == sorted(values)
    page.locator('table.classes th >> nth=0').locator('button').click()
    names = column(page, 1)
    assert names == sorted(names) and header.get_attribute('aria-sort') is None
    assert page.locator('table.classes .swatch').count() >= len(names)


def test_confusion_says_what_is_under_the_mouse(page: Any, run: Path) -> None:
    confusion = json.loads((run / 'scores.json').read_text())['scores']['level_1']['confusion']
    matrix, ids = np.array(confusion['matrix']), confusion['ids']
    row, column = ids.index(17), ids.index(30)  # buildings that were taken for vegetation
    share = matrix[row, column] / matrix[row].sum()
    drawn(page, 'confusion')
    page.mouse.move(*place_in_plot(page, 'confusion', 'Vegetation', 'Building'))
    label = page.locator('#confusion .hoverlayer .hovertext')
    label.wait_for()
    text = label.text_content()
    assert 'truth: Building' in text and 'prediction: Vegetation' in text
    assert f'{share:.2%}' in text and f'{matrix[row, column]:,}' in text


def test_confusion_of_another_output(page: Any) -> None:
    drawn(page, 'confusion')
    before = page.locator('#confusion').text_content()
    page.locator('#confusion-output').select_option(label='Traffic signs')
    page.wait_for_function("document.getElementById('confusion').textContent.includes('stop')")
    assert 'Building' in before and 'stop' not in before
    assert 'Building' not in page.locator('#confusion').text_content()


def test_page_begins_with_the_worst_frame(page: Any) -> None:
    assert shown_frame(page) == f'{WORST:03}'
    names = [card.get_attribute('data-name') for card in page.locator('.frame').all()]
    assert names[0] == f'{WORST:03}' and '041' in names and '000' in names
    assert len(names) < FRAMES
    scores = page.locator('.frame header span:first-of-type').all_inner_texts()
    values = [float(text.split()[1].rstrip('%')) for text in scores]
    assert values == sorted(values)


def test_click_on_the_time_line_shows_the_frame(page: Any) -> None:
    drawn(page, 'curves')
    # Each frame is a tenth of a second after the one before.
    page.mouse.click(*place_in_plot(page, 'curves', 4.1, 0.9))
    page.wait_for_function("document.getElementById('frame-title').textContent.startsWith('041')")
    assert page.locator('#frame-slider').input_value() == '41'
    source = page.locator('.side [data-view=photograph]').get_attribute('src')
    card = page.locator('#frame-041 [data-kind=photograph]').get_attribute('src')
    assert source == card
    drawn(page, 'shares')
    page.mouse.click(*place_in_plot(page, 'shares', 3.7, 0.1))
    page.wait_for_function("document.getElementById('frame-title').textContent.startsWith('037')")


def test_frame_without_pictures_shows_the_nearest(page: Any) -> None:
    kept = {int(card.get_attribute('data-name')) for card in page.locator('.frame').all()}
    missing = next(number for number in range(FRAMES) if number not in kept)
    page.locator('#frame-slider').fill(str(missing))
    assert shown_frame(page) == f'{missing:03}'
    note = page.locator('#frame-note')
    nearest = min(kept, key=lambda number: abs(number - missing))
    assert note.is_visible() and f'--show {missing:03}' in note.inner_text()
    assert abs(int(note.inner_text().split('these are of ')[1][:3]) - missing) == abs(
        nearest - missing
    )
    page.locator('#next').click()
    assert int(shown_frame(page)) == min(number for number in kept if number > missing)
    assert note.is_hidden()
    page.locator('#previous').click()
    assert int(shown_frame(page)) == max(number for number in kept if number < missing)


def test_sliders_work_by_keyboard(page: Any) -> None:
    page.locator('#frame-slider').focus()
    page.keyboard.press('Home')
    assert shown_frame(page) == '000'
    page.keyboard.press('ArrowRight')
    assert shown_frame(page) == '001'
    page.locator('#divider').focus()
    page.keyboard.press('Home')
    clip = "document.getElementById('{}').style.clipPath"
    assert page.evaluate(clip.format('stage-prediction')) == 'inset(0px 0px 0px 0%)'
    assert page.evaluate(clip.format('stage-truth')) == 'inset(0px 100% 0px 0px)'
    page.keyboard.press('End')
    assert page.evaluate(clip.format('stage-prediction')) == 'inset(0px 0px 0px 100%)'
    page.locator('#opacity').focus()
    page.keyboard.press('Home')
    assert page.evaluate("document.getElementById('stage-truth').style.opacity") == '0'


def test_levels_are_switched_everywhere(page: Any) -> None:
    def visible() -> list[str]:
        return list(
            page.evaluate(
                """[...document.querySelectorAll('.frame figure[data-layer]')]
                    .filter((one) => one.checkVisibility()).map((one) => one.dataset.layer)"""
            )
        )

    drawn(page, 'shares')
    names = page.locator('#shares .legendtext').all_text_contents()
    before = page.locator('.side [data-view=truth]').get_attribute('src')
    assert set(visible()) == {'level_1'}
    page.locator('input[name=level][value=level_1]').focus()
    for _ in range(2):
        page.keyboard.press('ArrowRight')
    assert set(visible()) == {'level_3'}
    assert page.locator('.side [data-view=truth]').get_attribute('src') != before
    page.wait_for_function("document.querySelector('#shares .legend').textContent.includes('Road')")
    assert 'Driveable' in names and 'Road' not in names


def test_frames_in_another_order(page: Any) -> None:
    names = "[...document.querySelectorAll('.frame')].map((card) => card.dataset.name)"
    worst = page.evaluate(names)
    page.locator('#order').select_option('time')
    assert page.evaluate(names) == sorted(worst) != worst
    page.locator('#order').select_option('worst')
    assert page.evaluate(names) == worst
    page.locator('#frame-041 button.look').click()
    assert shown_frame(page) == '041'
    assert page.evaluate('document.activeElement.id') == 'frame-slider'


def test_every_control_is_reached_by_keyboard(page: Any) -> None:
    reached = set()
    for _ in range(120):
        page.keyboard.press('Tab')
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    wanted = {'confusion-output', 'previous', 'frame-slider', 'next', 'level', 'divider', 'opacity'}
    assert wanted <= reached


def test_printed_page_has_everything_on_white(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, color_scheme='dark') as page:
        page.evaluate(
            """addEventListener('beforeprint', () => {
                window.atPrint = {
                    closed: document.querySelectorAll('details:not([open])').length,
                    plots: document.querySelectorAll('.plot .main-svg').length,
                    tick: getComputedStyle(document.querySelector('#curves .xtick text')).fill,
                };
            })"""
        )
        closed = page.locator('details:not([open])').count()
        assert closed > 0
        pdf = page.pdf()
        assert pdf.startswith(b'%PDF') and pdf.count(b'/Type /Page\n') + pdf.count(b'/Page ') > 1
        state = page.evaluate('window.atPrint')
        assert state['closed'] == 0 and state['plots'] >= 4
        assert state['tick'] == 'rgb(28, 37, 48)'  # of the light page
        # Pictures that are the same are in the file once.
        photographs = page.evaluate(
            "new Set([...document.querySelectorAll('[data-kind=photograph]')]"
            '.map((one) => one.src)).size'
        )
        assert pdf.count(b'/DCTDecode') >= photographs > 20
        page.wait_for_function(
            f"document.querySelectorAll('details:not([open])').length === {closed}"
        )
        page.emulate_media(media='print', color_scheme='dark')
        assert page.locator('#frame-slider').is_hidden()
        background = page.evaluate('getComputedStyle(document.body).backgroundColor')
        assert background == 'rgb(245, 246, 248)'


def test_page_without_the_library_of_the_plots(
    browser: Any, run: Path, street_tree: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, 'plot_library', lambda: '')
    summary = json.loads((run / 'scores.json').read_text())
    # What is said of a run stands on the page as it is, whatever a name in it looks like.
    summary |= {'interrupted': True, 'truth_faults': ['<b>7 labels</b> </script> fit no image']}
    shutil.copy(run / 'frames.jsonl', tmp_path)
    write_report(tmp_path, summary, street_tree)
    with opened(browser, tmp_path / 'report.html') as page:
        text = page.locator('main').inner_text()
        assert 'pip install plotly' in text and 'was interrupted' in text
        assert '<b>7 labels</b> </script> fit no image' in text
        page.locator('#frame-slider').fill('5')
        assert shown_frame(page) == '005'


def test_long_recording(browser: Any, run: Path, street_tree: Hierarchy, tmp_path: Path) -> None:
    summary = json.loads((run / 'scores.json').read_text())
    count = 30_000
    with (tmp_path / 'frames.jsonl').open('w') as file:
        for number in range(count):
            record = {
                'frame': f'{number:05}',
                'bag': number // 20_000,
                'stamp': number,
                'seconds': number % 20_000 / 10,
                'confidence': number / count,
                'scores': {'level_1': {'mIoU': 0.5 + 0.5 * (number % 7) / 7, 'PA': None}},
                'shares': {'level_1': {'27': 0.75, '17': 0.25}},
                'flicker': None,
            }
            file.write(json.dumps(record) + '\n')
    write_report(tmp_path, summary, street_tree)
    # The library of the plots is 4.8 MB of it.
    assert (tmp_path / 'report.html').stat().st_size < 8_000_000
    with opened(browser, tmp_path / 'report.html') as page:
        assert 'mean of 2 frames' in page.locator('main').inner_text()
        drawn(page, 'curves')
        page.mouse.click(*place_in_plot(page, 'curves', 1000.05, 0.2))
        page.wait_for_function(
            "!document.getElementById('frame-title').textContent.startsWith('00000')"
        )
        # Some 25 frames lie beneath a pixel of the time line.
        assert abs(int(shown_frame(page)) - 10_000) < 50
        # The second recording follows the first on one axis.
        # A click that comes while the plot is drawn anew is lost.
        for _ in range(20):
            page.mouse.click(*place_in_plot(page, 'curves', 2500, 0.2))
            page.wait_for_timeout(1000)
            if shown_frame(page).startswith('2'):
                break
        assert shown_frame(page).startswith('2')


def test_frame_that_is_not_there_is_named(
    street_bag: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--model', str(untrained_model), '--out', str(tmp_path / 'out')]
    assert main([str(street_bag), *arguments, '--show', '001', '17']) == 0
    assert '--show 17: no frame of this name was evaluated' in capsys.readouterr().err
