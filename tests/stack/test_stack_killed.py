"""kill -9 of what holds a stack together: the next start heals without help."""

import os
import signal

from local import leftovers


def test_a_killed_manager_stops_everything_and_is_told(home, launch):
    stack = launch(home).until_it_says("schema is up to date")

    stack.part("")[0].kill()

    assert stack.status() == 1
    assert "The process manager died (signal 9)" in stack.said
    stack.leaves_nothing()


def test_of_two_starts_one_is_refused_and_after_kill_9_the_next_finds_the_data(home, launch):
    pair = [launch(home) for _ in range(2)]
    pair[0].until(lambda: any(one.process.poll() is not None for one in pair))
    refused, stack = sorted(pair, key=lambda one: one.process.poll() is None)
    assert "Vitrine is already starting or stopping" in refused.said

    key = stack.until_up().addresses["api_key"]
    for pid in (stack.process.pid, stack.part("")[0].pid):
        os.kill(pid, signal.SIGKILL)
    stack.status()
    assert {"web", "worker", "valkey", "postgres"} <= set(leftovers.find(stack.home).values())

    healed = launch(home, port=stack.port).until_it_says("schema is up to date")
    assert "processes left by a run that was killed" in healed.said

    healed.process.kill()
    healed.status()
    again = launch(home, port=stack.port).until_up()
    assert again.addresses["api_key"] == key, "it still opened the API, so the database was kept"
    again.process.send_signal(signal.SIGTERM)
    assert again.status() == 0
    again.leaves_nothing()
