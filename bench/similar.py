"""How well and how fast images that look alike are found: `python3 dev bench similar [--quick]`.

The scenes are drawn (bench/_scenes.py); `--photos FOLDER` takes real ones in their place for the table of
near-duplicates. The hundred thousand images of the search have features that are put together from the
parts of a few thousand drawn ones: colours of one, tones of another, edges and shape of a third. Their
embeddings are sums of twelve traits, each one of forty and lighter than the one before, and of some noise:
no model was at hand, and vectors without any structure have no neighbours worth finding.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

import config
from bench._scenes import TREATMENTS, recoloured, scene
from bench.imaging import THREE_MEGAPIXELS, photo
from core.desk import Desk
from core.ids import new_id
from core.likeness import EDGES, FRAME, NEAR_BITS, NEAR_STRANGENESS, SHAPE, TONES, VERSION, Features
from core.services import image_embeddings, keys, similar
from core.services.embedding_indexes import EmbeddingIndexes
from core.store import embeddings, frames, hnsw
from core.store import features as features_store
from core.store.embeddings import Vector
from local import embedded
from worker import features
from worker.imaging import Policy, prepare

CATALOGUE = 100_000
QUERIES = 200
MODEL, LENGTH = "bench", 768
"""A model for embeddings, and how many numbers it gives."""
LIMITS = (
    ("hash only", 16, 255.0),
    ("hash only", NEAR_BITS, 255.0),
    ("both, strict", 24, 1.5),
    ("both", NEAR_BITS, 2.5),
    ("both, as it is", NEAR_BITS, NEAR_STRANGENESS),
    ("both, wider", 96, 5.0),
)
TRAITS = text("""
    CREATE TEMPORARY TABLE traits AS
    SELECT trait, kind, array_agg((random() - 0.5) * 0.8 ^ trait)::vector AS part
    FROM generate_series(0, 11) AS trait, generate_series(0, 39) AS kind, generate_series(1, :length)
    GROUP BY trait, kind
""")
EMBEDDING = text("""
    WITH drawn AS (
        SELECT digest, trait, floor(random() * 40) AS kind
        FROM image_features, generate_series(0, 11) AS trait
    ), summed AS (
        SELECT digest, sum(part) AS whole FROM drawn JOIN traits USING (trait, kind) GROUP BY digest
    )
    INSERT INTO image_embeddings (account_id, model, digest, analysis_id, dimensions, vector)
    SELECT :account, :model, digest, '', :length, l2_normalize(whole + noise)::halfvec
    FROM summed,
    LATERAL (
        SELECT array_agg((random() - 0.5) * 0.3)::vector FROM generate_series(1, :length) WHERE digest <> ''
    ) AS made (noise)
""")
ROOT = Path(__file__).resolve().parents[1]

Treated = dict[str, Features]
Nearest = Callable[..., list[str]]


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--photos", type=Path, help="real photos for the near-duplicates")
    parser.add_argument("--only", choices=["near", "search"], help="one of both tables")
    given = parser.parse_args()
    console, share = Console(width=110), 10 if given.quick else 1
    console.print(_cost())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sources: Sequence[int | Path] = range(1_000 // share)
        if given.photos:
            sources = sorted(path for path in given.photos.iterdir() if path.is_file())
        if given.only != "search":
            console.print(_near_duplicates(list(pool.map(_treated, sources, chunksize=10))))
        drawn = [] if given.only == "near" else list(pool.map(_drawn, range(2_000 // share), chunksize=20))
    if drawn:
        console.print(_search(drawn, CATALOGUE // share))


def _cost() -> Table:
    """What measuring adds to preparing."""
    picture = photo(*THREE_MEGAPIXELS)
    sink = BytesIO()
    picture.save(sink, "JPEG", quality=90)
    small = picture.resize((1024, 768))
    whole = _cpu(lambda: prepare(sink.getvalue(), Policy()), 15)
    ours = _cpu(lambda: features.measure(small), 100)
    table = Table("what", "CPU ms", title="Measuring, on the way of a preparation")
    table.add_row("preparing a JPEG of 3 Mpx, measuring included", f"{whole:.2f}")
    table.add_row("of that, measuring", f"{ours:.2f}")
    return table


def _cpu(work: Callable[[], object], times: int) -> float:
    """Median CPU ms."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - start))
    return sorted(taken)[times // 2]


def _treated(source: int | Path) -> Treated:
    """The features of a picture, and of what becomes of it."""
    image = scene(source).image if isinstance(source, int) else Image.open(source).convert("RGB")
    dice = random.Random(f"{source}")
    image.thumbnail((1024, 1024))
    made = {name: treat(image, dice) for name, treat in TREATMENTS.items()}
    pictures = {"original": image, **made, "other colours": recoloured(image, dice.choice((64, 128, 192)))}
    return {name: features.measure(picture) for name, picture in pictures.items()}


def _near_duplicates(pictures: Sequence[Treated]) -> Table:
    """Recall by treatment, and how many of all pairs of different pictures are taken for the same."""
    table = Table(title=f"Near-duplicates of {len(pictures):,} pictures: found, and wrongly found")
    names = [name for name in pictures[0] if name != "original"]
    for heading in ("limits", "bits", "levels", *names, "false pairs", "pictures with one"):
        table.add_column(heading, justify="left" if heading == "limits" else "right")
    true = {name: [_apart(each["original"], each[name]) for each in pictures] for name in names}
    originals = [each["original"] for each in pictures]
    # What is out of the widest limits need not be compared cell by cell.
    widest = max(bits for _, bits, _ in LIMITS)
    close = [
        (pair, _apart(originals[pair[0]], originals[pair[1]]))
        for pair in combinations(range(len(originals)), 2)
        if originals[pair[0]].hash_distance(originals[pair[1]]) <= widest
    ]
    pairs = len(originals) * (len(originals) - 1) // 2
    for name, bits, levels in LIMITS:
        taken = partial(_within, bits, levels)
        wrong = [pair for pair, apart in close if taken(apart)]
        found = [f"{sum(map(taken, true[each])) / len(pictures):.1%}" for each in names]
        of = len({number for pair in wrong for number in pair}) / len(originals)
        table.add_row(
            name, str(bits), f"{levels:g}", *found, f"{len(wrong) / max(pairs, 1):.4%}", f"{of:.1%}"
        )
    return table


def _apart(one: Features, other: Features) -> tuple[int, float]:
    return one.hash_distance(other), one.strangeness(other)


def _within(bits: int, levels: float, apart: tuple[int, float]) -> bool:
    return apart[0] <= bits and apart[1] <= levels


def _drawn(number: int) -> Features:
    return features.measure(scene(number).image)


def _search(drawn: Sequence[Features], size: int) -> Table:
    """Searches of one account's catalogue through the service, against looking at every image."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.postgres(folder / "pg") as url:
            desk = _desk(url, folder)
            try:
                return _searched(desk, drawn, size)
            finally:
                desk.database.close()


def _desk(url: str, folder: Path) -> Desk:
    os.environ |= {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "STORAGE_URL": f"file://{folder}/blobs",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "SIMILAR_EMBEDDING_MODEL": MODEL,
    }
    subprocess.run([Path(sys.executable).parent / "vitrine", "migrate"], cwd=ROOT, check=True)
    return Desk.open(config.load(), name="bench")


def _searched(desk: Desk, drawn: Sequence[Features], size: int) -> Table:
    account = keys.create(desk, account="bench", name="bench").key.account_id
    dice = random.Random(1)
    started = time.perf_counter()
    with desk.database.transaction() as session:
        _fill(session.connection(), account, drawn, size, dice)
    _tidy(desk)
    built = time.perf_counter() - started
    queries = [_mixed(drawn, dice) for _ in range(QUERIES)]
    file_ids = _some_files(desk, dice)
    table = Table("what", "median ms", "p95 ms", "recall@10", title=f"Searches among {size:,} images")
    _compare(table, "measures", partial(_by_measures, desk, account), queries[: QUERIES // 4])
    times = [_timed(partial(similar.similar, desk, account, each, limit=10)) for each in file_ids]
    table.add_row("POST /similar, all of the service", *_times(times), "")
    times = [
        _timed(partial(similar.duplicates, desk, account, each, behind=None, limit=20)) for each in file_ids
    ]
    table.add_row("GET …/duplicates, all of the service", *_times(times), "")
    with desk.database.transaction() as session:
        _embed(session.connection(), account)
    _tidy(desk)
    embed = partial(image_embeddings.of, desk, account)
    ranked = partial(similar.similar, desk, account, limit=10, embed=embed)
    started = time.perf_counter()
    EmbeddingIndexes(desk).keep_up()
    indexed = time.perf_counter() - started
    vectors = [found for found in map(embed, _some_digests(desk, dice)) if found]
    _compare(table, "embeddings", partial(_by_embedding, desk, account), vectors[: QUERIES // 4])
    times = [_timed(partial(ranked, each)) for each in file_ids]
    table.add_row(f"POST /similar by embeddings of {LENGTH} numbers", *_times(times), "")
    table.caption = (
        f"Stored and indexed in {built:.0f} s, embeddings indexed in {indexed:.0f} s; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    return table


def _mixed(drawn: Sequence[Features], dice: random.Random) -> Features:
    """Features of a picture that might be."""
    frame, tones, form = (dice.choice(drawn) for _ in range(3))
    vector = (
        *frame.vector[FRAME.place],
        *tones.vector[TONES.place],
        *form.vector[EDGES.place],
        *form.vector[SHAPE.place],
    )
    return Features(dice.choice(drawn).hash, frame.layout, vector)


def _fill(
    connection: Connection, account: str, drawn: Sequence[Features], size: int, dice: random.Random
) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it was just connected
    made = [(f"{number:064x}", _mixed(drawn, dice)) for number in range(size)]
    index = connection.scalar(
        text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_image_features_vector'")
    )
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("DROP INDEX ix_image_features_vector"))
    with driver.cursor() as cursor:
        with cursor.copy("COPY blobs (digest, byte_size) FROM STDIN") as sink:
            for digest, _ in made:
                sink.write_row((digest, 1))
        names = "id, account_id, digest, byte_size, media_type, name, purpose"
        with cursor.copy(f"COPY files ({names}) FROM STDIN") as sink:
            for digest, _ in made:
                sink.write_row((new_id("file"), account, digest, 1, "image/jpeg", "p.jpg", "vision"))
        with cursor.copy("COPY image_features (digest, version, hash, layout, vector) FROM STDIN") as sink:
            for digest, each in made:
                vector = f"[{','.join(f'{value:.5g}' for value in each.vector)}]"
                sink.write_row((digest, VERSION, frames.bits(each.hash), each.layout, vector))
    with Session(bind=connection) as session:
        frames.complete(session)
    connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    connection.execute(text(index))


def _tidy(desk: Desk) -> None:
    """What autovacuum and the checkpointer do within minutes of so many rows."""
    with desk.database.statement() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("RESET statement_timeout"))


def _embed(connection: Connection, account: str) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(TRAITS, {"length": LENGTH})
    connection.execute(EMBEDDING, {"account": account, "model": MODEL, "length": LENGTH})


def _some_files(desk: Desk, dice: random.Random) -> list[str]:
    with desk.database.transaction() as session:
        return dice.sample(list(session.scalars(text("SELECT id FROM files"))), QUERIES)


def _some_digests(desk: Desk, dice: random.Random) -> list[str]:
    with desk.database.transaction() as session:
        return dice.sample(list(session.scalars(text("SELECT digest FROM image_embeddings"))), QUERIES)


def _compare(table: Table, what: str, nearest: Nearest, queries: Sequence[Any]) -> None:
    """Rows for searches of an index, and of every vector; recall is of the ten that are nearest but one.

    The nearest may be the image itself, which every search finds.
    """
    exact, slow = _answers(partial(nearest, exact=True), queries)
    before = hnsw.EF_SEARCH
    for ef in (40, before, 200):
        hnsw.EF_SEARCH = ef
        found, times = _answers(partial(nearest, exact=False), queries)
        hits = sum(len({*one[1:]} & {*other[1:]}) for one, other in zip(found, exact, strict=True))
        table.add_row(
            f"{what}: index alone, ef_search {ef}", *_times(times), f"{hits / 10 / len(queries):.3f}"
        )
    hnsw.EF_SEARCH = before
    table.add_row(f"{what}: every image looked at", *_times(slow), "1")


def _answers(
    search: Callable[[Any], list[str]], queries: Sequence[Any]
) -> tuple[list[list[str]], list[float]]:
    """What was found, and how long it took each time."""
    found: list[list[str]] = []
    times = [_timed(partial(_noted, search, query, found)) for query in queries]
    return found, times


def _noted(search: Callable[[Any], list[str]], query: Any, found: list[list[str]]) -> None:
    found.append(search(query))


def _by_measures(desk: Desk, account: str, query: Features, *, exact: bool) -> list[str]:
    with desk.database.transaction() as session:
        near = features_store.near_by_vector(session, account, query, limit=11, exact=exact)
    return [each.digest for each in near]


def _by_embedding(desk: Desk, account: str, query: Vector, *, exact: bool) -> list[str]:
    with desk.database.transaction() as session:
        near = embeddings.near(session, account, MODEL, query, limit=11, exact=exact)
    return [digest for digest, _ in near]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _times(times: Sequence[float]) -> tuple[str, str]:
    ordered = sorted(times)
    return f"{ordered[len(ordered) // 2]:.1f}", f"{ordered[int(len(ordered) * 0.95)]:.1f}"


if __name__ == "__main__":
    main()
