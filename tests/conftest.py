"""What every test may count on: hypothesis without deadlines, real pictures, and no silent gaps in CI."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import servers
from hypothesis import settings

ROOT = Path(__file__).parents[1]
REAL_PICTURES = ROOT.parent / "shared" / "data"

CI = os.environ.get("CI") == "true"

MAY_BE_MISSING_IN_CI = (
    "real pictures: ",  # LFW, Caltech-101: their licences keep them out of this project
    "renderer: ",  # mitsuba and trimesh make the sample; nothing else needs them
    "a small file system cannot be mounted",  # takes privileges that containers withhold
)
"""How the reason of a skip begins that CI allows; any other skip fails there."""

settings.register_profile("here", deadline=None, derandomize=CI)
settings.load_profile("here")


def _fail_if_ci_must_have_it(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (CI and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(MAY_BE_MISSING_IN_CI):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped under CI=true, which must have what it needs: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI must have what is missing."""
    report = yield
    _fail_if_ci_must_have_it(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for modules that skip as a whole."""
    report = yield
    _fail_if_ci_must_have_it(report)
    return report


@pytest.fixture
def real_pictures() -> Path:
    """Return the folder of the real image sets (``lfw``, ``caltech101``, …), or skip."""
    if not REAL_PICTURES.is_dir():
        pytest.skip("real pictures: put lfw and caltech101 into ../shared/data beside the checkout")
    return REAL_PICTURES


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[Callable[[str], servers.Cluster]]:
    """Return a function that returns the session's one server of a version, started at the first call."""
    with ExitStack() as running:
        yield functools.cache(lambda version: running.enter_context(servers.cluster(version)))


@pytest.fixture(scope="session", params=servers.VERSIONS)
def elasticsearch(
    request: pytest.FixtureRequest, elasticsearch_server: Callable[[str], servers.Cluster]
) -> servers.Cluster:
    """Return the session's server of each version in turn; what a test writes, it removes or names as its own."""
    return elasticsearch_server(request.param)


@pytest.fixture
def where_permissions_hold() -> Iterator[Path]:
    """Yield an empty folder, as a user whom permissions hold: root, who may read anything, becomes nobody."""
    folder = Path(tempfile.mkdtemp())
    nobody = 65_534
    root = os.geteuid() == 0
    if root:
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o700)
        shutil.rmtree(folder)
