"""Signals become a word, clocks a reason; processes agree on both."""

import os
import signal
import threading

import jax
import pytest
from jax.experimental import multihost_utils

from stylejax.train import stopping


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_first_signal_is_noted_and_the_next_one_acts(name):
    number = signal.Signals[name]
    arrived = []
    former = signal.signal(number, lambda *_: arrived.append(name))
    try:
        with stopping.catch_signals() as caught:
            assert caught == []
            os.kill(os.getpid(), number)
            assert caught == [name.lower()] and arrived == []
            os.kill(os.getpid(), number)
            assert arrived == [name]
    finally:
        signal.signal(number, former)


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(RuntimeError), stopping.catch_signals():
        raise RuntimeError
    after = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    assert after == before


def test_outside_the_main_thread_nothing_is_caught():
    seen = []

    def work():
        with stopping.catch_signals() as caught:
            seen.append(caught)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[]]


def _reason(**options):
    defaults = {"caught": [], "is_late": False, "is_time_to_ask": True}
    return stopping.stop_reason(5, **(defaults | options))


def test_reason_of_one_process():
    assert _reason() is None
    assert _reason(caught=["sigterm"], is_late=True) == "sigterm"
    assert _reason(is_late=True, is_time_to_ask=False) == "max_minutes"


def test_reason_of_several_processes_is_process_0s(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    asked = []

    def broadcast(value):
        asked.append(value)
        return True  # process 0 is late

    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", broadcast)
    point = {"reached": False}
    monkeypatch.setattr(
        multihost_utils, "reached_preemption_sync_point", lambda _: point["reached"]
    )
    assert _reason(is_late=True, is_time_to_ask=False) is None and asked == []
    assert _reason(is_late=False) == "max_minutes" and asked == [False]
    point["reached"] = True
    assert _reason() == "sigterm"


@pytest.mark.parametrize("choice", [None, 0, 7])
def test_choice_of_process_0_holds_for_all(monkeypatch, choice):
    assert stopping.agree(lambda: choice) == choice
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    told = []
    monkeypatch.setattr(
        multihost_utils, "broadcast_one_to_all", lambda x: told.append(x) or told[0]
    )
    assert stopping.agree(lambda: choice) == choice
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert stopping.agree(lambda: pytest.fail("asked process 1")) == choice


def test_refusal_of_process_0_ends_all(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    told = []
    monkeypatch.setattr(
        multihost_utils, "broadcast_one_to_all", lambda x: told.append(x) or told[0]
    )

    def refuse():
        raise ValueError("nothing is whole")

    with pytest.raises(ValueError, match="nothing is whole"):
        stopping.agree(refuse)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with pytest.raises(ValueError, match="process 0 refused"):
        stopping.agree(refuse)
