"""The script that trains by a shipped recipe: what it prints, writes and ends with."""

from scripts.train_recipes import GOALS, main


def test_it_writes_a_page_and_ends_with_1_below_the_goal(tmp_path, capsys):
    code = main(["digits", "--epochs", "1", "--target", "reference", "--page", str(tmp_path)])
    said = capsys.readouterr()
    assert code == 1 and f"wanted at least {GOALS['digits'].accuracy:.1%}" in said.err
    assert "epoch 1: accuracy " in said.out and "digits: " in said.out
    text = (tmp_path / "digits.md").read_text()
    assert text.count("| 1 | ") == 1 and "target reference" in text and max(map(len, text.split("\n"))) <= 130
