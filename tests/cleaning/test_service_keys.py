"""Every service's key is found where it stands, and what lacks a character is not."""

import random
import re

import pytest

from loopdata.cleaning.service_keys import SERVICES, find_service_keys
from tests.cleaning.made_keys import RECIPES, make

# Of these an end, or what stands around the key, may be missing.
OPEN_ENDED = {"anthropic_key", "azure_shared_key", "slack_webhook", "tailscale_key"}
INSIDE = {"azure_shared_key", "azure_signature", "discord_webhook", "heroku_uuid", "microsoft_teams_webhook", "slack_webhook", "zapier_webhook"}  # fmt: skip # noqa: E501


def rules(text: str) -> list[str]:
    return [finding.rule for finding in find_service_keys(text.encode())]


def test_every_service_has_a_recipe() -> None:
    assert set(RECIPES) == set(SERVICES) and len(SERVICES) >= 25


@pytest.mark.parametrize("rule", SERVICES)
def test_a_key_is_found_in_quotes_in_prose_and_by_itself(rule: str) -> None:
    for seed in range(20):
        key = make(RECIPES[rule], random.Random(seed))
        for before, after in (('"', '"'), ("use ", " for it"), ("", ""), ("KEY=", "\n"), ("(", ")."), ("`", "`")):
            text = f"{before}{key}{after}".encode()
            found = [finding for finding in find_service_keys(text) if finding.rule == rule]
            assert len(found) == 1, (seed, before)
            assert len(before) <= found[0].start and found[0].end <= len(before) + len(key)
            assert found[0].end - found[0].start >= min(len(key), 15)


@pytest.mark.parametrize("rule", SERVICES)
def test_a_key_that_lacks_a_character_is_none(rule: str) -> None:
    for seed in range(20):
        key = make(RECIPES[rule], random.Random(seed))[:-1]
        assert (rule in rules(f'"{key}"')) <= (rule in OPEN_ENDED)


@pytest.mark.parametrize("rule", SERVICES)
def test_a_key_inside_a_longer_word_is_none(rule: str) -> None:
    for seed in range(20):
        key = make(RECIPES[rule], random.Random(seed))
        assert (rule in rules(f'"x{key}"')) <= (rule in INSIDE)


@pytest.mark.parametrize("rule", sorted(set(SERVICES) - {"zapier_webhook"}))
def test_a_key_of_one_letter_is_an_example(rule: str) -> None:
    key = make(re.sub(r"\{[awbul](\d+)\}", lambda found: "X" * int(found.group(1)), RECIPES[rule]), random.Random(1))
    if "XXXXXX" in key:
        assert rule not in rules(key)


def test_only_the_secret_part_of_a_url_is_found() -> None:
    url = make(RECIPES["slack_webhook"], random.Random(3))
    (finding,) = find_service_keys(url.encode())
    assert url[: finding.start] == "https://hooks.slack.com/services/" and finding.end == len(url)


def test_keys_of_documentation_are_examples() -> None:
    assert rules("AKIA" + "IOSFODNN7EXAMPLE") == []
    assert rules("ghp_" + "x" * 36) == []
    assert rules("sk_test_" + "1234567890abcdefghij") == []


def test_names_of_code_are_no_keys() -> None:
    assert rules("NumberFormatterForCurrency.format.another_long_name_of_a_method") == []
    assert rules("from transformers import hf_hub_download_with_retries_and_progress") == []
    assert rules("sk-learn-contrib-project-template-name and sk-toggleable__content-arrow") == []
