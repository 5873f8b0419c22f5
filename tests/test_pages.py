"""Tests read a page as a browser does: neither more nor less of it."""

from tests.pages import as_read


def test_white_space_that_shows_nowhere_is_gone():
    html = '<div\n  id="a  b"\n  hidden\n>\n  <p>\n    One,\n    two\n  </p>\n</div>\n'

    assert as_read(html) == '<div id="a  b" hidden><p>One, two</p></div>'


def test_white_space_between_words_stays():
    assert as_read("<p>One <b>two</b>\n <i>three</i>, <a\n>four</a>\n.</p>") == (
        "<p>One <b>two</b> <i>three</i>, <a>four</a> .</p>"
    )


def test_what_is_written_as_it_stands_is_left_alone():
    html = '<pre class="code">\n a\n  b </pre><textarea> c\n</textarea>'

    assert as_read(html) == html
