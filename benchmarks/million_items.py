"""Measure the embedded store on many items: python benchmarks/million_items.py --items 1000000 --dim 256.

Everything in the table comes from one run, so its ratios hold even where another machine's
milliseconds do not. The items are random directions around one centre for each bucket.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from visualsearch.datatypes import Buckets, Item, Matrix, Source
from visualsearch.stores.contract import Store
from visualsearch.stores.embedded import EmbeddedShelf

BATCH = 2_000
K = 20
SEED = 0


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--buckets", type=int, default=100)
    parser.add_argument("--memory-mib", type=int, default=2_048, help="budget of the store's cache")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder otherwise")
    return parser.parse_args()


def unit(matrix: Matrix) -> Matrix:
    """Return the rows with length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def batches(options: argparse.Namespace, centres: Matrix) -> Iterator[tuple[list[Item], Matrix]]:
    """Yield the items in the order of a gallery's folders: one bucket after the other."""
    random = np.random.default_rng(SEED)
    for start in range(0, options.items, BATCH):
        numbers = range(start, min(start + BATCH, options.items))
        homes = [number * options.buckets // options.items for number in numbers]
        noise = random.standard_normal((len(numbers), options.dim), dtype=np.float32)
        items = [
            Item(
                id=f"{number * 0x9E3779B97F4A7C15 % 2**96:024x}",  # scattered, as hashes are
                path=f"label-{home:04}/{number // 10:07}-{number % 10}.jpg",
                columns={"label": f"label-{home:04}", "view": str(number % 10)},
                buckets=(f"label-{home:04}",),
                source=Source(f"{number:064x}", f"{number}", f"{number:064x}"),
            )
            for number, home in zip(numbers, homes, strict=True)
        ]
        yield items, unit(centres[homes] + noise)


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the median time of one call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def fill(store: Store, options: argparse.Namespace, centres: Matrix) -> float:
    """Write everything; return the seconds that the store took of it."""
    taken = 0.0
    for items, vectors in batches(options, centres):
        start = time.perf_counter()
        store.upsert(items, vectors)
        taken += time.perf_counter() - start
    return taken


def searches(store: Store, options: argparse.Namespace, centres: Matrix) -> list[tuple[str, float, int]]:
    """Return (what, seconds for one query, items compared), each measured on the open store."""
    random = np.random.default_rng(SEED + 1)
    homes = random.integers(options.buckets, size=256)
    queries = unit(centres[homes] + random.standard_normal((256, options.dim), dtype=np.float32))
    routes: list[Buckets] = [frozenset({f"label-{home:04}"}) for home in homes]
    rows = []

    def measure(what: str, n: int, route: list[Buckets], where: dict[str, str], times: int) -> None:
        compared = store.search(queries[:n], K, route, where)[0].compared if times > 1 else 0
        taken = seconds(lambda: store.search(queries[:n], K, route, where), times)
        rows.append((what, taken / n, compared or store.search(queries[:n], K, route, where)[0].compared))

    measure("one bucket, first time (read from the file)", 1, routes[:1], {}, 1)
    measure("one bucket, afterwards", 1, routes[:1], {}, 300)
    measure("one bucket, with a filter", 1, routes[:1], {"view": "3"}, 100)
    measure("exhaustive, first time (read from the file)", 1, [None], {}, 1)
    measure("exhaustive, afterwards", 1, [None], {}, 10)
    measure("exhaustive, with a filter", 1, [None], {"view": "3"}, 10)
    measure("256 queries at once, one bucket each", 256, routes, {}, 5)
    measure("256 queries at once, exhaustive", 256, [None] * 256, {}, 2)
    return rows


def products(options: argparse.Namespace) -> list[tuple[str, float, int]]:
    """Return what the bare product in NumPy takes for as many items."""
    rows = []
    for what, n in (("bare NumPy, one bucket", options.items // options.buckets), ("bare NumPy, all", options.items)):
        matrix = np.random.default_rng(SEED).standard_normal((n, options.dim), dtype=np.float32)
        query = matrix[0]
        rows.append((what, seconds(lambda m=matrix, q=query: np.argpartition(m @ q, -K), 10), n))  # type: ignore[misc]
    return rows


def show(options: argparse.Namespace, filling_s: float, size: int, rows: list[tuple[str, float, int]]) -> None:
    """Print the table."""
    title = f"{options.items:,} items x {options.dim}, {options.buckets} buckets, top {K}"
    table = Table("search", "ms per query", "items compared", "ratio", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    unit_s = dict((what, taken) for what, taken, _ in rows)["one bucket, afterwards"]
    for what, taken, compared in rows:
        table.add_row(what, f"{taken * 1e3:.3f}", f"{compared:,}", f"{taken / unit_s:.2f}")
    console = Console(width=100)
    console.print(table)
    console.print(
        f"written: {options.items / filling_s:,.0f} items/s in batches of {BATCH:,}; "
        f"{size / options.items:,.0f} bytes/item on disk; {platform.processor() or platform.machine()}, "
        f"NumPy {np.__version__}"
    )


def main() -> None:
    """Fill a store, search it, print what it took."""
    options = arguments()
    centres = np.random.default_rng(SEED).standard_normal((options.buckets, options.dim), dtype=np.float32)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        shelf = EmbeddedShelf(EmbeddedShelf.Options(memory_mib=options.memory_mib), folder)
        store = shelf.begin("benchmark", options.dim)
        filling_s = fill(store, options, centres)
        shelf.publish(store)
        live = shelf.live()
        if live is None:
            raise SystemExit("nothing was published")
        with closing(live):
            rows = searches(live, options, centres)
        size = sum(path.stat().st_size for path in folder.iterdir())
    show(options, filling_s, size, [*rows, *products(options)])


if __name__ == "__main__":
    main()
