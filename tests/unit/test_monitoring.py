"""Dashboard, alert rules and what Prometheus scrapes, held against what we export and RabbitMQ does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from deployment import ROOT, command_of, compose, parse
from prometheus_client.core import Metric

from superhero.commands.server_metrics import ServerCollector
from superhero.ops.exposition import pipeline_metrics
from superhero.transport.counters import Counters
from superhero.transport.metrics import transport_metrics

FOLDER = ROOT / "deploy/monitoring"
SERVICES = compose()["services"]

OF_RABBITMQ = {
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_disk_space_available_bytes",
    "rabbitmq_disk_space_available_limit_bytes",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_resident_memory_limit_bytes",
}
"""Of RabbitMQ 3.10 to 4.x, as its documentation and a node with the plugin have them."""

LOOK: dict[str, Any] = {
    "records": dict.fromkeys(("in", "out", "again", "waiting", "lost", "duplicated"), 0),
    "queues": [{"channel": "c", "depth": 0, "consumers": 0}],
    "workers": [{"name": "w", "written": 0, "per_s": 0.0, "in_hand": 0, "children": 1}],
    "producers": [
        {
            **{"kind": "server", "name": "s", "process": "p", "connected": True, "blocked": False},
            **dict.fromkeys(("dropped", "waiting", "waiting_bytes", "oldest_age_s"), 0),
        }
    ],
    "quarantine": 0,
    "games": {"running": 0, "completed": 0},
    "broker": {"reachable": True, "blocked": False},
    "totals": {},
}
FIGURES = {"events": {"game.attack": 1}, "connections": 0, "lobby_connections": 0, "refused": {"requests": 0}}

WORDS = {"and", "or", "on", "by", "sum", "max", "rate", "deriv", "increase", "histogram_quantile", "le", "up"}


def rules() -> list[dict[str, Any]]:
    """Return every alert."""
    loaded = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    loaded: dict[str, Any] = json.loads((FOLDER / "superhero.json").read_text(encoding="utf-8"))
    return loaded


def expressions() -> Iterator[str]:
    """Yield every expression of rules and dashboard."""
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel["targets"])


def exported() -> dict[str, set[str]]:
    """Return every series that we export, with its labels."""
    metrics: list[Metric] = [*pipeline_metrics(LOOK), *transport_metrics(Counters())]
    metrics += ServerCollector(lambda: FIGURES).collect()
    found = {sample.name: set(sample.labels) for metric in metrics for sample in metric.samples}
    return {**found, "superhero_redis_up": set()}


def names(expression: str) -> set[str]:
    """Return the names in an expression that are neither functions nor labels."""
    without_labels = re.sub(r"\b(?:by|on) ?\([^)]*\)|\[[^]]*\]|\{[^}]*\}", "", expression)
    return set(re.findall(r"[a-z_:][a-z0-9_:]*", without_labels)) - WORDS


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_in_rules_and_dashboard_is_one_that_somebody_exports(expression: str) -> None:
    assert names(expression) <= exported().keys() | OF_RABBITMQ
    assert expression.count("(") == expression.count(")")


def test_labels_in_legends_and_summaries_are_those_of_their_metrics() -> None:
    ours, of_prometheus = exported(), {"instance", "job"}
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = set(re.findall(r"by \((\w+)\)", target["expr"]))
            there = set().union(*(ours.get(name, set()) for name in names(target["expr"])))
            assert shown <= there | of_prometheus, target
            assert grouped <= there, target
    for rule in rules():
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        there = set().union(*(ours.get(name, set()) for name in names(rule["expr"])))
        assert shown <= there | of_prometheus, rule


def test_every_alert_is_told_of_in_the_documentation() -> None:
    text = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|", text.partition("## Alerts")[2], re.M)
    assert sorted(told) == sorted(rule["alert"] for rule in rules())


def test_operations_say_what_to_do_at_every_alert() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    at_each = text.partition("## What to do at each alert")[2].partition("\n## ")[0]
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in at_each] == []


def test_every_metric_of_the_pipeline_is_told_of_in_the_documentation() -> None:
    text = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported()}
    assert [name for name in sorted(families) if f"`{name}`" not in text] == []


def test_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_what_is_scraped_is_where_the_compose_file_has_it() -> None:
    loaded = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in loaded["scrape_configs"]}
    port = parse(command_of(SERVICES["metrics"])).params["port"]
    assert jobs["superhero"]["static_configs"] == [{"targets": [f"metrics:{port}"]}]
    servers = jobs["server"]["dns_sd_configs"][0]
    assert servers["names"] == ["server"]
    assert servers["port"] == SERVICES["server"]["environment"]["METRICS_PORT"]
    plugins = (ROOT / "deploy/rabbitmq.plugins").read_text(encoding="utf-8")
    assert re.fullmatch(r"\[[a-z_,]+\]\.\n", plugins)
    assert "rabbitmq_prometheus" in plugins
    datasource = yaml.safe_load((FOLDER / "datasource.yml").read_text(encoding="utf-8"))["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in dashboard()["panels"]} == {datasource["uid"]}
    assert datasource["url"] == "http://prometheus:9090"


def test_the_profile_is_out_of_the_way_of_who_does_not_ask_for_it() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    assert {name for name, given in profiles.items() if given} == {"metrics", "prometheus", "grafana"}


def test_promtool_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; nothing but this test needs it")
    argv = [promtool, "check", "rules", str(FOLDER / "alerts.yml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
