"""What docker-compose.yml promises, read from it."""

import re

import pytest
from composefile import COMPOSE, GIVEN, PLACEHOLDER, ROOT, SERVICES, environment_of, interpolated

OURS = ("web", "worker", "interactive", "webhooks", "flower", "migrate")
LASTING = [name for name in SERVICES if name != "migrate"]
IN_CONTAINERS_ONLY_BY_MOUNT = {"PRICE_TABLE", "LOG_FILE", "PROMETHEUS_MULTIPROC_DIR"}
SECRETS = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|AUTH|://[^@/]*:[^@/]*@")


def strings(node):
    """Every string anywhere in a document."""
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from strings(inner)
    elif isinstance(node, str):
        yield node


def documented(heading):
    text = (ROOT / "docs" / "configuration.md").read_text()
    return set(re.findall(r"^\| `(\w+)`", text.split(f"## {heading}")[1].split("\n## ")[0], re.MULTILINE))


@pytest.mark.parametrize("service", LASTING)
def test_every_service_that_stays_up_is_looked_at_and_started_again(service):
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_has_more_rights_than_it_needs(service):
    about = SERVICES[service]
    user, group = about["user"].split(":")
    assert int(user) > 0 < int(group)
    assert about["read_only"] is True
    assert about["cap_drop"] == ["ALL"]
    assert about["security_opt"] == ["no-new-privileges:true"]
    assert any(entry.startswith("/tmp") for entry in about["tmpfs"])  # noqa: S108 - of the container
    assert not about.get("privileged")
    assert not about.get("cap_add")


def test_web_and_worker_wait_for_the_schema_and_the_servers():
    for service in ("web", "worker", "interactive", "webhooks"):
        conditions = {name: how["condition"] for name, how in SERVICES[service]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


def test_workers_get_the_time_to_finish_calls_that_are_paid_for():
    longest_call = 60
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) >= 2 * longest_call + 30


def test_data_outlives_containers_and_images_are_shared():
    assert set(COMPOSE["volumes"]) == {"postgres", "redis", "blobs"}
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    place = environment_of("web", GIVEN)["STORAGE_URL"].removeprefix("file://")
    for service in ("web", "worker", "interactive"):
        assert f"blobs:{place}" in SERVICES[service]["volumes"]


def test_only_the_api_can_be_published_beyond_this_machine():
    published = {name: about["ports"] for name, about in SERVICES.items() if "ports" in about}
    assert set(published) == {"web", "flower"}
    assert published["flower"][0]["host_ip"] == "127.0.0.1"
    assert interpolated(published["web"][0]["host_ip"], {}) == "127.0.0.1"
    assert interpolated(published["web"][0]["published"], {"PORT": "9000"}) == "9000"
    assert str(published["web"][0]["target"]) == environment_of("web", GIVEN)["PORT"]
    inner = [name for name, about in SERVICES.items() if about["networks"] == ["inside"]]
    assert inner == ["migrate", "postgres", "redis"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_postgres_has_room_for_the_connections_of_a_default_fleet_and_ten_workers_more():
    web_processes, connections, spare = 2, 10, 5
    workers = SERVICES["worker"]["deploy"]["replicas"] + 10
    allowed = int(SERVICES["postgres"]["command"][-1].removeprefix("max_connections="))
    assert allowed >= (web_processes + workers) * connections + spare


def test_every_setting_can_be_given_and_no_other_is_named():
    settings = documented("Settings")
    named = {name for service in OURS for name in SERVICES[service]["environment"]}
    assert settings - named == IN_CONTAINERS_ONLY_BY_MOUNT
    assert named - settings == documented("Variables of others")
    placeholders = {name for text in strings(COMPOSE) for _, name, *_ in PLACEHOLDER.findall(text) if name}
    assert placeholders <= settings | documented("Variables of others") | documented(
        "Only with Docker Compose"
    )


@pytest.mark.parametrize("missing", GIVEN)
def test_without_a_secret_nothing_starts(missing):
    demands = [text for text in strings(COMPOSE) if f"${{{missing}:?" in text]
    assert demands
    given = {name: value for name, value in GIVEN.items() if name != missing}
    for text in demands:
        with pytest.raises(KeyError, match=missing):
            interpolated(text, given)


def test_no_secret_is_written_down():
    for service, about in SERVICES.items():
        for name, value in about["environment"].items():
            if value is not None and SECRETS.search(f"{name} {value}"):
                assert value == "unused" or ":?" in value, (service, name)


def test_a_secret_goes_only_where_it_is_used():
    holders = {
        secret: {name for name in SERVICES if value in environment_of(name, GIVEN).values()}
        for secret, value in GIVEN.items()
        if not secret.endswith("_PASSWORD")
    }
    assert holders == {"OPENAI_API_KEY": {"worker", "interactive"}, "FLOWER_BASIC_AUTH": {"flower"}}
    assert "pgpassword" not in str(environment_of("flower", GIVEN))
    assert "redispassword" not in str(environment_of("migrate", GIVEN))


def test_the_example_names_everything_that_is_required():
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) == set(GIVEN)
    assert re.findall(r"^[A-Z_]+=.+$", example, re.MULTILINE) == []
    known = documented("Settings") | documented("Variables of others") | set(GIVEN)
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) <= known
