"""Names of boards."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.remote.host import parse_hosts


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pi5", "pi5"),
        ("user@192.168.1.20", "192.168.1.20"),
        ("j.doe+x@orin.lan", "orin.lan"),
        ("me@fe80::1%eth0", "fe80::1%eth0"),
        ("ssh://me@orin:2222", "orin"),
        ("ssh://[::1]:22", "[::1]"),
    ],
)
def test_a_host_has_a_name(text: str, name: str) -> None:
    (host,) = parse_hosts([text])
    assert (host.destination, host.name) == (text, name)


@given(text=st.one_of(st.text(), st.text("-@:/%[]$`'\" \n;.abc0ssh", max_size=12)))
def test_what_is_taken_means_nothing_to_a_shell_or_an_option_parser(text: str) -> None:
    with contextlib.suppress(BadInput):
        (host,) = parse_hosts([text])
        assert re.fullmatch(r"[A-Za-z0-9_.:%@/\[\]+-]+", text)
        assert not re.search("(^|[@/])-", text)
        assert not set("/@") & set(host.name)
