"""The support table tells what is there."""

from tools.docs import support


def test_every_row_leads_to_a_test_or_has_a_reason():
    assert support.wrong(support.rows()) == []


def test_the_page_is_current():
    text = support.page(support.rows())
    assert support.PAGE.read_text() == text, "python3 -m tools.docs.support"


def test_what_is_wrong_is_found():
    row = support.Row(7, "TCP", ["yes", "a", "", "net/tcp", "net/test_udp.py::test_of_nothing"])
    found = support.wrong([row])
    assert "support.txt:7: there is no test_of_nothing in tests/net/test_udp.py" in found
    assert "no row is about net/ip6" in found
    assert "no row is about net/tcp" not in found


def test_what_the_modules_leave_out_is_collected():
    assert "forwarding" in dict(support.left_out())["net/ip4/header.py"]
