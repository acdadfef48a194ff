"""One running Vitrine on this machine: started in order, watched, stopped in reverse order."""

import contextlib
import dataclasses
import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from local import interrupts, keys, leftovers, plan, postgres, ready, valkey
from local.deaths import DeathWatch
from local.failures import LocalError, PartEnded, PortLost
from local.files import make_short_folder, write_private
from local.home import Home, only_one
from local.parts import Part
from local.plan import Plan
from local.ports import is_free, require_port
from local.supervisor import Supervisor
from local.supervisor_settings import LOG

SERVICE_SECONDS = 60.0
APPLICATION_SECONDS = 90.0
MOST_STARTS = 3
WORKERS = {"interactive", "worker", "webhooks"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Addresses:
    """Where a running stack is reached, as local.json has it; secrets are part of it."""

    pid: int
    url: str
    api_key: str
    flower_url: str
    endpoint_url: str
    database_url: str
    redis_url: str
    storage_url: str


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    addresses: Addresses
    wait: Callable[[], object]
    """Returns never; raises LocalError when the process manager dies."""


@contextlib.contextmanager
def running(home: Home, say: Say) -> Iterator[Stack]:
    """A stack for the length of a block. Raises LocalError, with everything stopped, if it cannot start.

    An interrupt stops it in order; a second one while it stops ends everything at once.
    """
    with only_one(home):
        say(f"Starting Vitrine in {home.path}")
        try:
            _heal(home, say)
            yield from _started_somewhere(home, say)
        finally:
            _clear(home, say)


def _heal(home: Home, say: Say) -> None:
    """Stop and remove what an earlier run that was killed has left."""
    if count := leftovers.stop(home):
        say(f"  stopped {count} processes left by a run that was killed")
    leftovers.remove_files(home)


def _started_somewhere(home: Home, say: Say) -> Iterator[Stack]:
    """Start, and again with other ports where somebody else was quicker to take one."""
    given = plan.read_environ()  # once: what a start decides is added to this process's environment
    for left in reversed(range(MOST_STARTS)):
        try:
            yield from _started(home, given, say)
        except PortLost as lost:
            if not left:
                raise
            say(f"  {lost}")
            _clear(home, say)
        else:
            return


def _started(home: Home, given: Mapping[str, str], say: Say) -> Iterator[Stack]:
    require_port(*plan.listening_address(given))
    run = make_short_folder()
    home.run_folder.write_text(str(run))
    chosen = plan.make_plan(home, run, given)
    if line := plan.moved_data(home, chosen):
        say(f"  {line}")
    supervisor = Supervisor(run, home.logs, [*chosen.services, *chosen.application])
    watch = DeathWatch(home.logs / LOG, say)
    try:
        _prepare(chosen)
        supervisor.launch(chosen.environ)
        watch.start()
        addresses = _start_parts(home, chosen, supervisor, say)
        write_private(home.addresses, json.dumps(dataclasses.asdict(addresses), indent=2) + "\n")
        yield Stack(addresses, supervisor.wait)
    finally:
        watch.stop()
        home.addresses.unlink(missing_ok=True)
        _stop(home, supervisor, say)


def _prepare(chosen: Plan) -> None:
    chosen.metrics.mkdir(mode=0o700)
    if chosen.postgres:
        postgres.prepare(chosen.postgres)
    if chosen.valkey:
        valkey.prepare(chosen.valkey)


def _start_parts(home: Home, chosen: Plan, supervisor: Supervisor, say: Say) -> Addresses:
    """Services, schema, then Vitrine's own processes, each waited for; what can start at once does."""
    os.environ.update(chosen.environ)  # to ask the workers, Celery is configured as they are
    probes = _probes(chosen)
    began = time.monotonic()

    def await_part(part: Part, seconds: float) -> None:
        try:
            supervisor.await_ready(part, probes[part.name], seconds)
        except PartEnded as end:
            _require_port_kept(chosen, part, str(end))
            raise
        say(f"  {part.name} is ready ({time.monotonic() - began:.1f} s)")

    for part in chosen.services:
        supervisor.begin(part)
    for part in chosen.services:
        await_part(part, SERVICE_SECONDS)
    _require_given(chosen)
    keys.migrate(chosen.environ)
    say(f"  schema is up to date ({time.monotonic() - began:.1f} s)")
    for part in chosen.application:
        supervisor.begin(part)
    for part in chosen.application:
        await_part(part, APPLICATION_SECONDS)
    web = chosen.application[0]
    supervisor.await_ready(web, lambda: ready.answers_http(chosen.url + "/api/health"), APPLICATION_SECONDS)
    say(f"  everything is healthy ({time.monotonic() - began:.1f} s)")
    return Addresses(
        pid=os.getpid(),
        url=chosen.url,
        api_key=keys.ensure_key(home, chosen.url, chosen.environ),
        flower_url=chosen.flower_url,
        endpoint_url=chosen.environ["OPENAI_BASE_URL"],
        database_url=chosen.environ["DATABASE_URL"],
        redis_url=chosen.environ["REDIS_URL"],
        storage_url=chosen.environ["STORAGE_URL"],
    )


def _require_port_kept(chosen: Plan, part: Part, said: str) -> None:
    """Raises PortLost if a part that ended, saying this, could not have its port.

    Whoever had it may have left it meanwhile: outgoing connections take such ports for moments.
    """
    port = chosen.own_ports.get(part.name)
    if port and (os.strerror(errno.EADDRINUSE) in said or not is_free(port)):
        raise PortLost(
            f"port {port} for {part.name} was taken by another program: starting again with another"
        )


def _probes(chosen: Plan) -> dict[str, Callable[[], bool]]:
    """How each part of a plan shows that it is ready."""
    database, queue = chosen.postgres, chosen.valkey
    workers = sum(part.count for part in chosen.application if part.name in WORKERS)
    return {
        "postgres": lambda: database is not None and postgres.answers(database),
        "valkey": lambda: queue is not None and valkey.answers(queue),
        "analyst": lambda: ready.answers_http(f"http://127.0.0.1:{chosen.analyst_port}/health"),
        "web": lambda: ready.answers_http(chosen.url + "/health"),
        "interactive": lambda: ready.workers_answer(workers),
        "worker": lambda: ready.workers_answer(workers),
        "webhooks": lambda: ready.workers_answer(workers),
        "flower": lambda: ready.answers_http(chosen.flower_url),
    }


def _require_given(chosen: Plan) -> None:
    """Raises LocalError if a service from outside does not answer; never repeats its URL."""
    if chosen.postgres is None and not ready.answers_database(chosen.environ["DATABASE_URL"]):
        raise LocalError("The Postgres that DATABASE_URL names does not answer. Unset it to use an own one.")
    if chosen.valkey is None and not ready.answers_redis(chosen.environ["REDIS_URL"]):
        raise LocalError("The Redis that REDIS_URL names does not answer. Unset it to use an own one.")


def _stop(home: Home, supervisor: Supervisor, say: Say) -> None:
    if not supervisor.is_running:
        return
    say("Stopping")
    with _second_interrupt_kills(home, say):
        supervisor.stop()


def _clear(home: Home, say: Say) -> None:
    """Whatever happened before, no process and no file of this run stays."""
    with _second_interrupt_kills(home, say):
        leftovers.stop(home)
    leftovers.remove_files(home)


@contextlib.contextmanager
def _second_interrupt_kills(home: Home, say: Say) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        interrupts.ignore()
        say("Stopping at once")
        leftovers.kill(home)
