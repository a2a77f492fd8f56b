"""The chart's rules are the operator's own list."""

from pathlib import Path

import yaml

from fleet_operator.rbac import RULES, documents

ROOT = Path(__file__).resolve().parents[2]


def test_the_charts_rules_are_those_of_the_operator() -> None:
    file = ROOT / "charts/routerfleet/files/operator-rules.yaml"
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == documents()


def test_no_rule_allows_everything() -> None:
    for rule in RULES:
        assert "*" not in {rule.group, rule.resource, *rule.verbs}
