"""Outputs that are no files: standard output by its names, pipes and devices."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_several_names(run, model, heartbeats, name):
    done = run("encode", model, heartbeats, "-o", name)
    assert done.code == 0, done.err
    assert done.out == run("encode", model, heartbeats).out


def test_events_are_printed_to_standard_output_by_name(run, detector, machine):
    done = run("detect", machine, "--model", detector, "-o", "/dev/stdout")
    assert done.code == 0, done.err
    assert done.out.startswith("start,peak,end,")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_and_devices_are_refused(run, model, heartbeats, detector, machine, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = "this is a device or a pipe; give - instead, which prints CSV to standard output"
    assert f"{pipe}: {said}" in run("encode", model, heartbeats, "-o", pipe).err
    assert f"{pipe}: {said}" in run("detect", machine, "--model", detector, "-o", pipe).err
    done = run("detect", machine, "--model", detector, "--scores", os.devnull)
    assert (done.code, f"{os.devnull}: {said}" in done.err) == (1, True)


@pytest.mark.skipif(os.name != "posix", reason="the system has other pipes")
def test_a_short_output_to_a_closed_pipe_ends_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "unspool", "--version"],
            env={name: one for name, one in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
