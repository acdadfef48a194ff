"""What the environment may say, what happens when it is wrong, and that the documentation tells the truth."""

import os
import re
from pathlib import Path

import pytest

import config
from config import ConfigurationError

ROOT = Path(__file__).parents[1]
REQUIRED = {
    "DATABASE_URL": "postgresql://vitrine:pg-secret@db:5432/vitrine",
    "REDIS_URL": "redis://:redis-secret@redis:6379/0",
    "STORAGE_URL": "s3://bucket/storage-secret",
    "OPENAI_API_KEY": "sk-openai-secret",
}


class Recorder:
    """Stands in for environs and writes down which variables are read, and with which default."""

    def __init__(self):
        self.defaults = {}

    def __getattr__(self, kind):
        def read(name, default="required", **_):
            self.defaults[name] = default
            return default

        return read


def read_by_code():
    recorder = Recorder()
    config._read(recorder)
    return {name: spelled(default) for name, default in recorder.defaults.items()}


def spelled(default):
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default in ("", [], None) else str(default)


def documented():
    """The rows of the table of settings: name to (default, example)."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.split("## Settings")[1].split("\n## ")[0]
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    return {row[0]: (row[1], row[4]) for row in rows if len(row) == 5 and re.fullmatch("[A-Z_]+", row[0])}


@pytest.fixture
def load(tmp_path):
    """Load with an environment that says only this, and a `.env` with these lines."""
    before = dict(os.environ)

    def loading(dotenv="", **variables):
        file = tmp_path / "env"
        file.write_text(dotenv)
        given = {name: value for name, value in (REQUIRED | variables).items() if value is not None}
        os.environ.clear()
        os.environ.update(given)
        return config.load(file)

    yield loading
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def problems(load):
    def found(**variables):
        with pytest.raises(ConfigurationError) as caught:
            load(**variables)
        return caught.value.problems

    return found


def test_the_table_names_what_the_code_reads_with_the_same_defaults():
    assert {name: default for name, (default, _) in documented().items()} == read_by_code()


@pytest.mark.parametrize("name", sorted(documented()))
def test_every_example_in_the_table_is_accepted(load, tmp_path, name):
    example = documented()[name][1]
    if name == "PRICE_TABLE":
        example = str(tmp_path / "prices.json")
        Path(example).write_text("{}")
    if name == "PROMETHEUS_MULTIPROC_DIR":
        example = str(tmp_path)
    assert load(**{name: example})


def test_only_config_reads_the_environment():
    code = [path for part in ("core", "webapp", "worker", "cli") for path in (ROOT / part).rglob("*.py")]
    assert code
    assert [path for path in code if re.search(r"os\.(environ|getenv)", path.read_text())] == []


def test_the_required_variables_are_enough(load):
    settings = load()
    assert settings.models == ("gpt-4.1-mini",)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_every_wrong_variable_is_reported_at_once_with_what_was_expected(load):
    with pytest.raises(ConfigurationError) as caught:
        load(
            DATABASE_URL=None,
            REDIS_URL="http://redis",
            OPENAI_API_KEY=None,
            PORT="80000",
            MAX_FILE_SIZE="ten",
            CALL_TIMEOUT="-1",
            DEBUG="perhaps",
            LOG_LEVEL="LOUD",
            ALLOWED_EXTENSIONS="svg",
            PRICE_TABLE="/does/not/exist",
            PROMETHEUS_MULTIPROC_DIR="/does/not/exist",
            RESULT_RETENTION_DAYS="0",
            CORS_ORIGINS="*,https://shop.example",
        )
    expected = {
        "DATABASE_URL": "not set",
        "REDIS_URL": "redis://",
        "OPENAI_API_KEY": "is needed",
        "PORT": "65535",
        "MAX_FILE_SIZE": "10MB",
        "CALL_TIMEOUT": "seconds",
        "DEBUG": "boolean",
        "LOG_LEVEL": "WARNING",
        "ALLOWED_EXTENSIONS": "webp",
        "PRICE_TABLE": "exists",
        "PROMETHEUS_MULTIPROC_DIR": "folder that exists",
        "RESULT_RETENTION_DAYS": "days",
        "CORS_ORIGINS": "not both",
    }
    assert set(caught.value.problems) == set(expected)
    lines = dict(line.strip().split(": ", 1) for line in str(caught.value).splitlines()[1:])
    assert {name for name, words in expected.items() if words not in lines[name]} == set()


def test_what_was_wrong_is_not_repeated_since_it_may_hold_a_secret(problems):
    wrong = dict.fromkeys(
        ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "OPENAI_BASE_URL"), "x://user:pw-secret@"
    )
    assert set(problems(**wrong)) == set(wrong)
    assert "pw-secret" not in str(problems(**wrong))


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "STORAGE_URL", "OPENAI_BASE_URL"])
@pytest.mark.parametrize("text", ["nonsense", "{scheme}:", "{scheme}://", "//host/x", "{scheme}://[::1"])
def test_a_url_needs_its_scheme_and_an_address(problems, name, text):
    scheme = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis", "STORAGE_URL": "s3"}.get(name, "https")
    assert list(problems(**{name: text.format(scheme=scheme)})) == [name]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_database_urls_of_every_spelling_become_the_one_that_sqlalchemy_wants(load, scheme):
    settings = load(DATABASE_URL=f"{scheme}://vitrine@/vitrine?host=/run/postgresql")
    assert settings.database_url == "postgresql+psycopg://vitrine@/vitrine?host=/run/postgresql"


def test_secrets_are_not_in_the_printed_settings(load):
    settings = load(OPENAI_BASE_URL="https://user:url-secret@endpoint.example/v1")
    assert "gpt-4.1-mini" in repr(settings)
    assert "secret" not in repr(settings) + str(settings)


def test_settings_cannot_be_changed(load):
    with pytest.raises(AttributeError):
        load().port = 1


@pytest.mark.parametrize("name", ["MAX_REQUEST_SIZE", "MAX_UPLOAD_SIZE", "MAX_OPENAI_FILE_SIZE"])
def test_a_request_or_an_upload_may_not_be_smaller_than_a_file(problems, name):
    assert "MAX_FILE_SIZE" in problems(**{"MAX_FILE_SIZE": "2MB", name: "1MB"})[name][0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_only_an_endpoint_on_this_machine_needs_no_key(load, problems, host):
    assert load(OPENAI_API_KEY=None, OPENAI_BASE_URL=f"http://{host}:8900/v1").openai_api_key == ""
    away = problems(OPENAI_API_KEY=None, OPENAI_BASE_URL="http://localhost.example/v1")
    assert list(away) == ["OPENAI_API_KEY"]


def test_the_dotenv_file_is_read_and_the_environment_wins(load):
    settings = load("PORT=9001\nVISION_MODEL=from-file\n", VISION_MODEL="from-environment")
    assert (settings.port, settings.vision_model) == (9001, "from-environment")


def test_a_missing_dotenv_file_is_no_error(load, tmp_path):
    load()
    assert config.load(tmp_path / "nowhere" / ".env").port == 8000


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512KiB", 524_288),
        ("10MB", 10_000_000),
        ("1.5 mb", 1_500_000),
        ("2GiB", 2_147_483_648),
        ("7b", 7),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(load, text, size):
    assert load(ENDPOINT_IMAGE_BYTES=text).endpoint_image_bytes == size


@pytest.mark.parametrize("text", ["0", "0.1", "-1MB", "10 parsecs", "MB", "1e9", "1,5MB"])
def test_what_is_no_size_is_refused(problems, text):
    assert list(problems(ENDPOINT_IMAGE_BYTES=text)) == ["ENDPOINT_IMAGE_BYTES"]


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "60s", "2592001"])
def test_what_is_no_time_is_refused(problems, text):
    assert list(problems(CALL_TIMEOUT=text)) == ["CALL_TIMEOUT"]


def test_times_may_have_fractions(load):
    assert load(CALL_TIMEOUT="0.25").call_timeout == 0.25


def test_lists_may_have_spaces_and_gaps(load):
    settings = load(
        VISION_MODELS=" a, b ,,",
        CORS_ORIGINS="https://a.example, https://b.example",
        ALLOWED_EXTENSIONS=".JPG, png",
    )
    assert settings.models == ("gpt-4.1-mini", "a", "b")
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.allowed_extensions == {"jpg", "png"}


def test_networks_and_ports_that_users_may_name(load):
    settings = load(OUTBOUND_NETWORKS="10.20.0.0/16, fd00:20::/32", OUTBOUND_PORTS="443,8000-8001")
    assert [str(network) for network in settings.outbound_networks] == ["10.20.0.0/16", "fd00:20::/32"]
    assert [port for ports in settings.outbound_ports for port in ports] == [443, 8000, 8001]


@pytest.mark.parametrize("text", ["0", "65536", "80-", "90-80", "http", "-1", "80;443", ","])
def test_what_is_no_list_of_ports_is_refused(problems, text):
    assert list(problems(OUTBOUND_PORTS=text)) == ["OUTBOUND_PORTS"]


@pytest.mark.parametrize("text", ["10.20.0.1/16", "intranet", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(problems, text):
    assert list(problems(OUTBOUND_NETWORKS=text)) == ["OUTBOUND_NETWORKS"]


def test_an_empty_variable_counts_as_not_set(load, problems):
    optional = dict.fromkeys(set(documented()) - set(REQUIRED), "")
    assert load(**optional) == load()
    assert load("PORT=9001", PORT="").port == 8000
    assert "not set" in problems(DATABASE_URL="")["DATABASE_URL"][0]
