"""A broker that is away is complained of once a minute, not at each attempt."""

from fleet_common.broker import Complaints


def test_the_same_complaint_is_made_once_a_minute() -> None:
    complaints = Complaints()
    said = [second for second in range(0, 150, 10) if complaints.new("refused", second)]
    assert said == [0, 60, 120]


def test_another_complaint_is_made_at_once() -> None:
    complaints = Complaints()
    assert [complaints.new(text, 0) for text in ("refused", "no answer", "refused")] == [
        True,
        True,
        False,
    ]


def test_after_a_connection_it_is_news_again() -> None:
    complaints = Complaints()
    assert complaints.new("refused", 0)
    complaints.forget()
    assert complaints.new("refused", 1)


def test_different_complaints_without_end_are_not_all_remembered() -> None:
    complaints = Complaints()
    assert all(complaints.new(f"port {number}", 0) for number in range(1000))
    assert complaints.new("port 0", 1)
    assert not complaints.new("port 999", 1)
