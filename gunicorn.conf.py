"""gunicorn's settings, from ours. Found by gunicorn in the folder it starts in."""

import socket
import struct
import sys

from config import ConfigurationError, settings
from webapp import sharing

RECEIVE_SECONDS = 10
"""Between two pieces of a request."""

try:
    ours = settings()
except ConfigurationError as error:
    sys.exit(str(error))

bind = f"{ours.host}:{ours.port}"
# Threads, because requests wait: for answers now, for streams later. gevent measured no better.
worker_class = "webapp.connections.Worker"
workers = ours.web_processes
threads = ours.web_threads
preload_app = False  # obstore and database pools do not survive a fork
graceful_timeout = 30
keepalive = 30
limit_request_line = 8190  # the most there is; what is longer gets a 414 before it comes to us
umask = 0o077  # what shops upload is nobody else's on this machine
accesslog = None  # webapp.tracing writes a line per request
errorlog = "-"
logger_class = "gunicorn.glogging.Logger"
loglevel = ours.log_level.lower()
worker_tmp_dir = sharing.SHARED_MEMORY  # heartbeats must not wait for a disk
control_socket_disable = True
metrics_folder = ours.metrics_folder or sharing.private_folder()
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={metrics_folder}"]


def when_ready(server):  # noqa: ANN001, ANN201  (gunicorn's hook)
    """Let no client hold a thread by sending nothing: accepted sockets inherit the listener's timeout."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", RECEIVE_SECONDS, 0))


def child_exit(server, worker):  # noqa: ANN001, ANN201, ARG001  (gunicorn's hook)
    """Forget the gauges of a process that ended."""
    sharing.forget(metrics_folder, worker.pid)


def on_exit(server):  # noqa: ANN001, ANN201, ARG001  (gunicorn's hook)
    """Leave nothing behind."""
    sharing.remove_private_folder()
