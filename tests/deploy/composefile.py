"""docker-compose.yml as Compose reads it: its services, and what becomes of its variables."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
GIVEN = {
    "POSTGRES_PASSWORD": "pgpassword",
    "REDIS_PASSWORD": "redispassword",
    "OPENAI_API_KEY": "sk-given",
    "FLOWER_BASIC_AUTH": "operator:flowerpassword",
}
PLACEHOLDER = re.compile(r"\$(?:(\$)|\{([A-Z_]+)(?::([-?])([^}]*))?\})")


def interpolated(text, given):
    """What Compose makes of a value. Raises KeyError for a required variable that is not given."""

    def value(match):
        dollar, name, kind, rest = match.groups()
        if dollar:
            return dollar
        return given[name] if given.get(name) or kind != "-" else rest

    return PLACEHOLDER.sub(value, str(text))


def environment_of(service, given):
    """The environment of a container; a variable without a value is handed through where it is given."""
    named = SERVICES[service]["environment"].items()
    values = {name: given.get(name) if value is None else interpolated(value, given) for name, value in named}
    return {name: value for name, value in values.items() if value is not None}
