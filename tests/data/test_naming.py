"""Which part of a path is the person, and which the session."""

from __future__ import annotations

import pytest

from biotrain.data.naming import guess_pattern


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (["anna/day1.edf", "anna/day2.edf", "bert/day1.edf"], "{subject}/day{session}.edf"),
        (["S001/S001R03.edf", "S001/S001R07.edf", "S002/S002R03.edf"], "*/{subject}R{session}.edf"),
        (["anna_session1.bdf", "bert_session12.bdf"], "{subject}_session{session}.bdf"),
        (
            ["sub-01_ses-1_eeg.fif", "sub-02_ses-1_eeg.fif", "sub-02_ses-2_eeg.fif"],
            "sub-{subject}_ses-{session}_eeg.fif",
        ),
        (["A01T.gdf", "A02T.gdf", "A03T.gdf"], "{subject}.gdf"),
        (["mon/anna1.edf", "tue/bert1.edf"], "*/{subject}.edf"),
        (["2024/anna/1.edf", "2025/anna/2.edf"], "*/{subject}/{session}.edf"),
        (["anna1.edf", "anna2.edf", "bert1.edf"], "{subject}{session}.edf"),
        (["x.edf"], "{subject}.edf"),
        ([], None),
        (["anna/1.edf", "one.edf", "b/c/d.edf"], None),
    ],
)
def test_names_say_person_and_session(paths: list[str], pattern: str | None) -> None:
    assert guess_pattern(paths) == pattern
