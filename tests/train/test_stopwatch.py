"""Speeds from a clock that the test turns by hand."""

from stylejax.train.stopwatch import Stopwatch


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _watch(**options):
    clock = _Clock()
    return clock, Stopwatch(clock=clock, **options)


def test_first_step_and_its_compiling_do_not_count():
    clock, watch = _watch()
    clock.now += 60.0
    watch.lap()
    assert watch.speed() == watch.overall_speed() == 0.0
    for _ in range(4):
        clock.now += 0.5
        watch.lap()
    assert watch.speed() == watch.overall_speed() == 2.0


def test_pauses_do_not_count():
    clock, watch = _watch()
    with watch.pause():
        clock.now += 7.0
    watch.lap()
    for _ in range(10):
        clock.now += 0.25
        watch.lap()
        with watch.pause():
            clock.now += 30.0
    assert watch.overall_speed() == 4.0


def test_recent_speed_follows_while_the_overall_speed_remembers():
    clock, watch = _watch(every_seconds=5.0)
    watch.lap()
    for seconds in [1.0] * 10 + [0.5] * 10:
        clock.now += seconds
        watch.lap()
    assert watch.speed() == 2.0
    assert watch.overall_speed() == 20 / 15
