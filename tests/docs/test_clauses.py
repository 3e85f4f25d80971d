"""The index of clauses says what the tests say."""

from tools.docs import clauses


def test_every_requirement_of_tcp_has_a_test_or_a_reason():
    assert clauses.missing(clauses.tests()) == []


def test_the_page_is_current():
    assert clauses.PAGE.read_text() == clauses.page(clauses.tests()), (
        "python3 -m tools.docs.clauses"
    )


def test_names_are_read_as_clauses():
    found = {test.name: test for test in clauses.tests()}
    test = found["test_rfc9293_3_10_7_4_a_segment_without_ack_is_dropped"]
    assert (test.rfc, test.clause) == (9293, "3.10.7.4")
    assert found["test_rfc7323_5_3_r1_a_reset_is_not_subject_to_it"].level == "MUST NOT"
