"""What `make bench` measures can be measured, if only of very little."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import apart, desk
from benchmarks.__main__ import main
from tests.support import postgres


@pytest.mark.parametrize("measured", [apart._measured, pytest.param(apart.apart, marks=pytest.mark.slow)])
def test_the_desk_is_measured_and_its_figures_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    measured: Callable[..., tuple[object, float]],
) -> None:
    """In this process; and, as when figures are wanted, with each part in one of its own."""
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    monkeypatch.setattr(desk, "apart", measured)
    rows = [{"title": f"Mayor{n} closes bridge{n}", "outlet": f"outlet{n}.example"} for n in range(20)]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    main(["desk", "--sources", "2", "--stories", "50", "--pools", str(tmp_path), "--rounds", "1", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert set(figures) == {
        *(f"choose_{pool}_{figure}" for pool in ("50", "pools") for figure in ("s", "cpu_s", "mb")),
        *("rank_50_s", "rank_pools_s", "parse_cpu_s"),
        *(f"sqlite_{figure}" for figure in ("collect_s", "collect_cpu_s", "collect_mb", "parse_ratio", "unchanged_s")),
        *("sqlite_collect_one_host_s", "sqlite_unchanged_one_host_s"),
    }
    assert all(figure > 0 for figure in figures.values())
    share = figures["parse_cpu_s"] / figures["sqlite_collect_cpu_s"]
    assert figures["sqlite_parse_ratio"] == pytest.approx(share, rel=0.02)
