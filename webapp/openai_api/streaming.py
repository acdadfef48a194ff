"""A chat as a stream of server-sent events.

The endpoint is asked for the whole answer, which then goes out in chunks; until it is there, comments keep
the connection open.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import VitrineError
from core.models import Analysis
from core.states import FINAL
from webapp.openai_api import replies
from webapp.openai_api.chunks import DONE, chunks, data
from webapp.openai_api.errors import detail
from webapp.openai_api.waiting import Waiting
from webapp.streams import HEARTBEAT, HEARTBEAT_SECONDS


def events(waiting: Waiting, found: Analysis, *, include_usage: bool) -> Iterator[str]:
    """The events of a chat, from where it stands."""
    try:
        while found.state not in FINAL and not waiting.is_over():
            yield HEARTBEAT
            found = waiting.look(HEARTBEAT_SECONDS)
        if found.state not in FINAL:
            raise waiting.give_up()
        status, body = replies.answered(waiting.desk, found)
        yield from map(data, chunks(body, include_usage=include_usage) if status == 200 else [body])
    except VitrineError as error:
        yield data({"error": detail(error)})
    except GeneratorExit:  # the client went while something was sent
        waiting.give_up()
        raise
    yield DONE
