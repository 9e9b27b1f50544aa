"""The choice of the browser, and the advice without one. These tests need no browser."""

import sys
from pathlib import Path

import pytest

from tests.browser import chromium as finding
from tests.browser.chromium import NoBrowser, chromium


def test_a_named_browser_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM_PATH", sys.executable)

    assert chromium() == Path(sys.executable)


def test_a_named_browser_that_is_missing_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHROMIUM_PATH", "/nowhere/chromium")

    with pytest.raises(SystemExit, match="CHROMIUM_PATH is /nowhere/chromium"):
        finding.main()


def test_without_a_browser_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.setattr(finding, "DEBIANS", tmp_path / "chromium")

    with pytest.raises(NoBrowser, match="apt-get install chromium"):
        chromium()
