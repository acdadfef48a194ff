"""What `up` and `demo` say on the terminal, and how a signal ends them."""

import contextlib
from collections.abc import Callable

from local import interrupts, stack
from local.console import say
from local.home import Home, open_home
from local.plan import read_environ
from local.stack import Addresses, Stack


def up() -> int:
    """Start everything and stay until interrupted. Raises LocalError."""
    return run_stack(wait_for_interrupt)


def run_stack(use: Callable[[Stack, Home], int], interrupted: int = 0) -> int:
    """Use a running stack; returns what that returns, or `interrupted` when a signal came first.

    Raises LocalError if the stack does not start or its process manager dies.
    """
    interrupts.listen()
    home = open_home(read_environ())
    status = interrupted
    with contextlib.suppress(KeyboardInterrupt), stack.running(home, say) as started:
        status = use(started, home)
    say("Stopped")
    return status


def wait_for_interrupt(started: Stack, home: Home) -> int:
    """Show the addresses and wait."""
    show_addresses(started.addresses, home)
    say("\nCtrl-C stops everything.")
    started.wait()
    return 0


def show_addresses(addresses: Addresses, home: Home) -> None:
    """Where to go now."""
    rows = {
        "Page": addresses.url,
        "API docs": f"{addresses.url}/docs",
        "Health": f"{addresses.url}/api/health",
        "Flower": addresses.flower_url,
        "API key": str(home.api_key),
        "Logs": str(home.logs),
    }
    say("")
    for name, value in rows.items():
        say(f"  {name:<9} {value}")
