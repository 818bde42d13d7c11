"""Selectors choose rules as their specificity says, and a typo is never silent."""

import pytest

from onnxstride.errors import UsageError
from onnxstride.selection import select_rules
from tests.planting import loaded_rule

RULES = [
    loaded_rule("DN201", "fixed-pooling"),
    loaded_rule("UP101", "uneven-overlap"),
    loaded_rule("UP102", "empty-phase"),
    loaded_rule("UP203", "other-thing"),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "DN201 UP101 UP102 UP203", id="everything by default"),
        pytest.param({"select": ["ALL"]}, "DN201 UP101 UP102 UP203", id="ALL"),
        pytest.param({"select": ["UP101"]}, "UP101", id="a full code"),
        pytest.param({"select": ["uneven-overlap"]}, "UP101", id="a name"),
        pytest.param({"select": ["UP"]}, "UP101 UP102 UP203", id="a prefix"),
        pytest.param({"select": ["UP1"]}, "UP101 UP102", id="a longer prefix"),
        pytest.param({"select": ["UP101,DN"]}, "DN201 UP101", id="joined by commas"),
        pytest.param({"select": ["UP101", " DN "]}, "DN201 UP101", id="repeated, with spaces"),
        pytest.param({"ignore": ["UP"]}, "DN201", id="ignoring a prefix"),
        pytest.param(
            {"select": ["UP101"], "ignore": ["UP"]}, "UP101", id="a code outweighs a prefix"
        ),
        pytest.param(
            {"select": ["UP"], "ignore": ["UP1"]}, "UP203", id="the longer prefix outweighs"
        ),
        pytest.param(
            {"select": ["UP", "DN"], "ignore": ["UP"]}, "DN201", id="a tie goes to ignore"
        ),
        pytest.param(
            {"select": ["UP1", "UP102"], "ignore": ["UP10"]}, "UP102", id="each rule by itself"
        ),
        pytest.param(
            {"select": ["DN"], "extend_select": ["empty-phase"]},
            "DN201 UP102",
            id="extending what is selected",
        ),
        pytest.param(
            {"extend_select": ["UP101"], "ignore": ["UP"]},
            "DN201 UP101",
            id="extending the default",
        ),
        pytest.param(
            {"select": ["UP101"], "ignore": ["ALL"]}, "UP101", id="ALL is the least specific"
        ),
    ],
)
def test_the_more_specific_selector_wins(options: dict[str, list[str]], expected: str) -> None:
    """Every combination gives the rules its specificities say."""
    assert [rule.code for rule in select_rules(RULES, **options)] == expected.split()


@pytest.mark.parametrize("option", ["select", "extend_select", "ignore"])
@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        pytest.param("UP10l", "UP101", id="typo in a code"),
        pytest.param("up101", "UP101", id="lower case"),
        pytest.param("uneven-overlaps", "uneven-overlap", id="typo in a name"),
        pytest.param("UP1011", "UP101", id="a digit too many"),
    ],
)
def test_an_unknown_selector_suggests_the_nearest(option: str, selector: str, hint: str) -> None:
    """A selector that fits nothing is an error in every option."""
    with pytest.raises(UsageError, match=f"'{selector}' fits no rule.*did you mean.*'{hint}'"):
        select_rules(RULES, **{option: [selector]})


@pytest.mark.parametrize("selector", ["", "UP101,", "uneven", "101", "all"])
def test_what_is_no_code_name_or_prefix_is_refused(selector: str) -> None:
    """Parts of names, ends of codes and nothing at all select nothing."""
    with pytest.raises(UsageError, match="fits no rule"):
        select_rules(RULES, select=[selector])


def test_nothing_left_is_an_error() -> None:
    """A run without rules would call every model clean."""
    with pytest.raises(UsageError, match="no rule is left"):
        select_rules(RULES, select=["UP101"], ignore=["UP101"])
