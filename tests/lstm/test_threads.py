"""The threads of compiled code: division of work, errors, and callers in several threads."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.lstm.cases import Case, assert_same, labelled, run, split, tensors
from unspool.lstm import lstm, threads

PATIENCE = 20  # seconds until a test that hangs fails


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("amount", [0, 1, 2, 7, 32])
def test_all_work_is_done_exactly_once(amount, count):
    done, by_thread = [], {0: {threading.get_ident()}}

    def work(first, last, thread):
        done.extend(range(first, last))
        by_thread.setdefault(thread, set()).add(threading.get_ident())

    threads.run(work, amount, count)
    assert sorted(done) == list(range(amount))
    assert set(by_thread) <= set(range(count))
    assert all(len(idents) == 1 for idents in by_thread.values())


def test_threads_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=PATIENCE)
    threads.run(lambda *_: meeting.wait(), 2, 2)


def test_if_all_other_threads_are_busy_the_calling_thread_does_all_work():
    stop, done = threading.Event(), []
    busy = [threads._executor().submit(stop.wait, PATIENCE) for _ in range(os.cpu_count() or 1)]
    threads.run(lambda first, last, thread: done.append(thread), 8, 2)
    assert done == [0] * 8
    stop.set()
    assert all(one.result() for one in busy)


@pytest.mark.parametrize("guilty", [0, 1], ids=["this one", "another one"])
def test_an_error_in_a_thread_is_raised_when_all_threads_have_ended(guilty):
    meeting, working = threading.Barrier(2, timeout=PATIENCE), set()

    def work(first, last, thread):
        working.add(thread)
        meeting.wait()
        if thread != guilty:
            time.sleep(0.2)
        working.remove(thread)
        if thread == guilty:
            raise ValueError("expected")

    with pytest.raises(ValueError, match="expected"):
        threads.run(work, 2, 2)
    assert not working


def test_pytorch_uses_one_thread_while_compiled_code_uses_several(two_threads):
    with threads.pytorch_on_one_thread():
        assert (threads.count(), torch.get_num_threads()) == (2, 1)
        with threads.pytorch_on_one_thread():
            assert (threads.count(), torch.get_num_threads()) == (2, 1)
        assert (threads.count(), torch.get_num_threads()) == (2, 1)
    assert (threads.count(), torch.get_num_threads()) == (2, 2)
    with pytest.raises(ValueError, match="expected"), threads.pytorch_on_one_thread():
        raise ValueError("expected")
    assert (threads.count(), torch.get_num_threads()) == (2, 2)


def in_new_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(PATIENCE)


def test_new_threads_begin_with_pytorchs_number_of_threads(two_threads):
    with threads.pytorch_on_one_thread():
        assert in_new_thread(torch.get_num_threads) == 2
    assert in_new_thread(torch.get_num_threads) == 2


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_threads_may_enter_and_leave_in_any_order(first_out, two_threads):
    inside = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]

    def caller(number):
        with threads.pytorch_on_one_thread():
            during = torch.get_num_threads()
            inside[number].set()
            assert leave[number].wait(PATIENCE)
            if number == first_out:
                raise ValueError("expected")
            during = max(during, torch.get_num_threads())
        return during, torch.get_num_threads(), threads.count()

    with ThreadPoolExecutor(2) as callers:
        calls = []
        for number in (0, 1):
            calls.append(callers.submit(caller, number))
            assert inside[number].wait(PATIENCE)
        for number in (first_out, 1 - first_out):
            leave[number].set()
            assert isinstance(calls[number].exception(PATIENCE), ValueError) == (
                number == first_out
            )
        assert calls[1 - first_out].result() == (1, 2, 2)
    assert torch.get_num_threads() == in_new_thread(torch.get_num_threads) == 2


def test_a_thread_with_another_number_of_threads_gets_it_back_without_changing_others(two_threads):
    def caller():
        torch.set_num_threads(5)
        assert torch.get_num_threads() == 5  # since this call, the number belongs to this thread
        in_new_thread(lambda: torch.set_num_threads(3))  # that threads begin with from now on
        with threads.pytorch_on_one_thread():
            assert (threads.count(), torch.get_num_threads()) == (5, 1)
        return torch.get_num_threads()

    assert in_new_thread(caller) == 5
    assert in_new_thread(torch.get_num_threads) == 3
    assert torch.get_num_threads() == 2


def test_eight_calls_in_parallel_have_the_same_bits(two_threads):
    case = Case(100, 7, 3, 10, ragged=True)
    expected = run("compiled", case, torch.float32)
    meeting = threading.Barrier(8, timeout=PATIENCE)

    def caller(_):
        inputs, cotangents, lengths = tensors(case, torch.float32)
        first, named = split(inputs)
        runs = []
        meeting.wait()
        for _ in range(5):
            results = lstm(*first, **named, lengths=lengths, backend="compiled")
            gradients = torch.autograd.grad(results, list(inputs.values()), cotangents)
            runs.append(labelled(results, dict(zip(inputs, gradients, strict=True))))
        return runs

    with ThreadPoolExecutor(8) as callers:
        for runs in callers.map(caller, range(8)):
            for got in runs:
                assert_same(expected, got)


@pytest.mark.parametrize("before", [False, True])
def test_denormals_are_zero_during_work_and_the_setting_is_restored(before):
    def half_of_the_smallest():
        return float(np.finfo(np.float32).tiny * np.float32(0.5))

    seen = {}

    def work(first, last, thread):
        seen[threading.get_ident()] = half_of_the_smallest()
        time.sleep(0.01)  # so that every thread gets a piece

    torch.set_flush_denormal(before)
    try:
        threads.run(work, 8, 2)
        after = half_of_the_smallest()
    finally:
        torch.set_flush_denormal(False)
    assert list(seen.values()) == [0.0, 0.0]
    assert (after == 0) is before
