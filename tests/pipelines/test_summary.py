"""What the end of a run says about what is missing from the dataset."""

import io

from rich.console import Console

from pipelines.summary import Summary, print_summary


def said(**found: object) -> str:
    console = Console(record=True, width=80, file=io.StringIO())
    print_summary(Summary("runs/x", {}, [], {}, **found), console)  # type: ignore[arg-type]
    return " ".join(console.export_text().split())


def packing(left_out: int, left_out_tokens: int) -> dict[str, object]:
    return {
        "category": "repo",
        "split": "train",
        "tokens": 750,
        "left_out": left_out,
        "left_out_tokens": left_out_tokens,
    }


def test_samples_that_fit_no_sequence_are_told_with_their_share_and_a_remedy() -> None:
    text = said(packings=[packing(2, 250)])
    assert "2 samples of repo (train) must not be cut" in text
    assert "250 tokens, 25.0% of its own" in text
    assert "Raise mixture.sequence, or lower the sizes under samples.repo" in text


def test_nothing_is_said_where_every_sample_fits() -> None:
    assert "samples of repo" not in said(packings=[packing(0, 0)])
