"""Labels of the data meet the classes of the model by name, by case, or by an order that is said to be assumed."""

from auditor.draft.classes import Meeting, meet


def test_equal_names_and_indices_need_nothing() -> None:
    assert meet(("cat", "dog"), ("dog", "cat"), 2) == Meeting()
    assert meet(("cat", "dog"), ("0", "1"), 2) == Meeting()


def test_names_that_differ_in_case_are_mapped() -> None:
    assert meet(("NEGATIVE", "POSITIVE"), ("positive", "negative"), 2).labels == (
        ("negative", "NEGATIVE"),
        ("positive", "POSITIVE"),
    )


def test_generic_names_are_matched_in_sorted_order_and_said_to_be_assumed() -> None:
    meeting = meet(("LABEL_0", "LABEL_1"), ("ham", "spam"), 2)
    assert meeting.labels == (("ham", "LABEL_0"), ("spam", "LABEL_1"))
    assert meeting.why.startswith("ASSUMED")


def test_a_head_without_names_takes_those_of_the_data() -> None:
    meeting = meet((), ("rose", "daisy"), 2)
    assert meeting.classes == ("daisy", "rose")
    assert meeting.why.startswith("ASSUMED")


def test_what_does_not_fit_is_left_to_the_owner() -> None:
    assert meet((), ("a", "b"), 3) == Meeting(why="the head has 3 classes, the data 2: write the 3 names in order")
    assert meet(("a", "b", "c"), ("x", "y"), 3).why.startswith("labels in the data: x, y")
