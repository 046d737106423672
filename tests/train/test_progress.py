"""The bar and its plain twin: speed, time left and main losses in one line."""

import io

import pytest

from stylejax.train.progress import Progress, ProgressBar


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _progress(step=50, **options):
    values = {"generator/cycle": 0.5, "generator/total": 1.23456, "norm": 7.0}
    options = {
        "num_steps": 200,
        "steps_per_second": 2.5,
        "images_per_second": 10.0,
        "seconds_left": 3725.4,
        "values": values,
    } | options
    return Progress(step, **options)


def test_eta_is_hours_minutes_seconds():
    assert _progress().eta() == "1:02:05"
    assert _progress(seconds_left=None).eta() == "?"


def test_main_losses_are_the_totals_or_the_first_three():
    assert _progress().losses() == {"generator": "1.235"}
    values = {name: 1.0 for name in "abcd"}
    assert list(_progress(values=values).losses()) == ["a", "b", "c"]


@pytest.mark.parametrize("stream", [io.StringIO(), _Terminal()])
def test_everything_is_in_the_line(stream):
    bar = ProgressBar(stream)
    bar.show_progress(_progress())
    bar.close()
    text = stream.getvalue()
    for part in ("50/200", "2.50", "10.00", "1:02:05", "generator", "1.235"):
        assert part in text


def test_plain_lines_come_rarely_but_the_last_one_always():
    stream = io.StringIO()
    bar = ProgressBar(stream, every_seconds=1000.0)
    for step in (1, 2, 3, 200):
        bar.show_progress(_progress(step))
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/200", "200/200"]


def test_bar_without_a_last_step():
    for stream in (io.StringIO(), _Terminal()):
        bar = ProgressBar(stream)
        bar.show_progress(_progress(7, num_steps=0, seconds_left=None))
        bar.close()
        assert "7" in stream.getvalue() and "/0" not in stream.getvalue()


def test_messages_are_whole_lines_beside_the_bar():
    stream = _Terminal()
    bar = ProgressBar(stream)
    bar.show_progress(_progress())
    bar.write_message("resumed at step 50")
    bar.close()
    assert "resumed at step 50\n" in stream.getvalue()
