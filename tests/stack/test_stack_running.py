"""A stack that is up, and the ways in which it ends in good order."""

import stat

import requests


def test_a_stack_is_reachable_as_it_says_and_mends_itself_and_ends_without_a_trace(home, launch):
    stack = launch(home).until_up()

    assert_addresses_are_right(stack)
    assert_a_second_start_is_refused(stack, launch)
    assert_a_killed_worker_is_started_again(stack)
    assert_a_killed_database_is_started_again(stack)

    assert stack.interrupt() == 0
    stack.leaves_nothing()


def test_an_interrupt_while_starting_leaves_nothing(home, launch):
    stack = launch(home).until_it_says("postgres is ready")

    assert stack.interrupt() == 0
    stack.leaves_nothing()


def assert_addresses_are_right(stack):
    told = stack.addresses
    assert told["url"] == f"http://127.0.0.1:{stack.port}"
    assert requests.get(told["url"] + "/api/health", timeout=5).ok
    headers = {"Authorization": f"Bearer {told['api_key']}"}
    assert requests.get(told["url"] + "/api/v1/analyses?limit=1", headers=headers, timeout=5).ok
    assert requests.get(told["flower_url"], timeout=5).ok
    closed = told["flower_url"].replace(told["flower_url"].split("//")[1].split("@")[0] + "@", "")
    assert requests.get(closed, timeout=5).status_code == 401
    assert requests.get(told["endpoint_url"].removesuffix("/v1") + "/health", timeout=5).ok
    for secret in (stack.home.addresses, stack.home.api_key, stack.home.kept):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def assert_a_second_start_is_refused(stack, launch):
    second = launch(stack.home.path, port=stack.port)
    assert second.status() == 1
    address = stack.addresses["url"]
    assert second.said == f"Vitrine already runs here, at {address} (pid {stack.process.pid}).\n"
    assert stack.process.poll() is None


def assert_a_killed_worker_is_started_again(stack):
    victim = next(p for p in stack.part("worker") if p.environ()["SUPERVISOR_PROCESS_NAME"] == "worker-1")
    victim.kill()
    stack.until(lambda: "worker-1 died (signal 9); started again as pid " in stack.said)


def assert_a_killed_database_is_started_again(stack):
    oldest = min(stack.part("postgres"), key=lambda process: process.create_time())
    oldest.kill()
    stack.until(lambda: "postgres died (signal 9); started again as pid " in stack.said)
    stack.until(lambda: requests.get(stack.addresses["url"] + "/api/health", timeout=5).ok)
