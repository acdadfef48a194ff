"""What keeps a stack from starting is said in one sentence, and nothing is left behind."""

import json
import socket
from types import SimpleNamespace

import pytest

from local import stack
from local.failures import LocalError, PortLost
from local.plan import listening_address
from local.ports import free_port


def test_a_busy_port_is_named_with_its_holder_and_a_way_out(home, launch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = launch(home, port=port)
        assert refused.status() == 1
    assert f"Port {port} is taken by " in refused.said
    assert f"PORT={port + 1} python3 dev up" in refused.said
    refused.leaves_nothing()


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_named(port):
    with pytest.raises(LocalError, match=f"PORT must be a number from 1 to 65535, not '{port}'."):
        listening_address({"PORT": port})


def test_a_home_that_cannot_be_written_is_named(tmp_path, launch):
    (tmp_path / "file").touch()
    refused = launch(tmp_path / "file" / "home", port=8000)
    assert refused.status() == 1
    assert refused.said.startswith(f"Cannot write to {tmp_path}/file/home (Not a directory).")
    assert len(refused.said.splitlines()) == 1


def test_a_database_that_does_not_answer_is_not_repeated_with_its_password(home, launch):
    refused = launch(home, DATABASE_URL="postgresql://shop:secret@127.0.0.1:1/shop")
    assert refused.status() == 1
    assert "The Postgres that DATABASE_URL names does not answer." in refused.said
    assert "secret" not in refused.said
    refused.leaves_nothing()


def test_a_port_that_was_taken_for_a_moment_only_is_known_by_what_its_part_said():
    chosen, flower = SimpleNamespace(own_ports={"flower": free_port()}), SimpleNamespace(name="flower")
    with pytest.raises(PortLost):
        stack._require_port_kept(chosen, flower, "  OSError: [Errno 98] Address already in use")
    stack._require_port_kept(chosen, flower, "  ImportError: no module named 'flower'")


def test_a_port_that_somebody_else_takes_meanwhile_is_given_up_for_another(home, launch):
    starting = launch(home).until_it_says("postgres is ready")
    chosen = json.loads(starting.home.kept.read_text())["flower_port"]
    with socket.create_server(("127.0.0.1", chosen)):
        up = starting.until_up()
        assert f"port {chosen} for flower was taken by another program: starting again" in up.said
        assert not up.addresses["flower_url"].endswith(f":{chosen}")
        assert up.interrupt() == 0
    up.leaves_nothing()
