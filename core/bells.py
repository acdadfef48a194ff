"""A bell as Celery's workers hear it: a message of its protocol, in kombu's envelope for Redis.

Celery publishes one message at a time, each with a new Redis client: a millisecond of CPU for a bell. Written
here, a thousand are one command, at some 20 µs each. The tests hold them to what Celery itself would send.

Protocol: https://docs.celeryq.dev/en/stable/internals/protocol.html (version 2).
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid

ORIGIN = f"gen{os.getpid()}@{socket.gethostname()}"
NO_FOLLOWERS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def bell(task: str, row_id: str, queue: str) -> str:
    """The message that has a worker of this queue do the task for a row."""
    task_id = str(uuid.uuid4())
    body = json.dumps([[row_id], {}, NO_FOLLOWERS])
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": _headers(task, task_id, row_id),
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )


def _headers(task: str, task_id: str, row_id: str) -> dict[str, object]:
    return {
        "lang": "py",
        "task": task,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": repr([row_id]),
        "kwargsrepr": "{}",
        "origin": ORIGIN,
        "ignore_result": None,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
