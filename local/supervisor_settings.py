"""The configuration file of the process manager, made from the parts it is to run."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.parts import Part

LOG = "supervisor.log"


def configured(run: Path, parts: Sequence[Part]) -> str:
    """The configuration for supervisord; logs go through a link, since a home may be called anything."""
    sections = [
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        "umask = 077",
        *(["user = root"] if os.geteuid() == 0 else []),
        f"logfile = {run}/log/{LOG}",
        "logfile_maxbytes = 1MB",
        "logfile_backups = 1",
        f"pidfile = {run}/supervisor.pid",
        "[unix_http_server]",
        f"file = {run}/supervisor.sock",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for order, part in enumerate(parts):
        sections += _program(run, part, order)
    return "\n".join(sections) + "\n"


def _program(run: Path, part: Part, order: int) -> list[str]:
    process = "worker-%(process_num)d" if part.name == "worker" else part.name
    return [
        f"[program:{part.name}]",
        f"command = {_quoted(part.command)}",
        f"process_name = {process}",
        f"numprocs = {part.count}",
        "numprocs_start = 1",
        f"priority = {order}",
        "autostart = false",
        "autorestart = true",
        "startretries = 100",
        *([f"environment = {_assigned(part.environ)}"] if part.environ else []),
        f"stopsignal = {part.stop_signal}",
        f"stopwaitsecs = {part.stop_seconds}",
        "killasgroup = true",
        *([f"user = {part.user}", "directory = /"] if part.user else []),
        "redirect_stderr = true",
        f"stdout_logfile = {run}/log/{process}.log",
        "stdout_logfile_maxbytes = 5MB",
        "stdout_logfile_backups = 2",
    ]


def _assigned(environ: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in environ.items())


def _quoted(command: list[str]) -> str:
    """A command line for supervisord, which would take ' #' and ' ;' for the start of a comment."""
    line = " ".join(argument if "%(" in argument else _quoted_argument(argument) for argument in command)
    return line.replace(" #", " ''#").replace(" ;", " '';")


def _quoted_argument(argument: str) -> str:
    return shlex.quote(argument).replace("%", "%%")
