"""The digests by which a repeated request is recognized."""

import pytest

from hublaunch.launch.acceptance.idempotency import idempotency_key
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest

CALLER = Caller(kind="key", key="ci")


def test_the_digest_of_a_request_matches_digests_stored_by_earlier_releases() -> None:
    key = idempotency_key("k", CALLER, LaunchRequest(image="a/b"))

    assert key.request == "bd121a8aa819d43d3d4734dc7384b922e74524f055596340ec918441e50e480d"


@pytest.mark.parametrize(
    "requests",
    [
        [LaunchRequest(image="a/b", path=path) for path in ("", "lab", "lab/tree/x.ipynb")],
        [LaunchRequest(image="a/b", ref=ref) for ref in ("", "main", "v1")],
    ],
    ids=["path", "ref"],
)
def test_another_path_or_ref_is_another_request(requests: list[LaunchRequest]) -> None:
    digests = {idempotency_key("k", CALLER, request).request for request in requests}

    assert len(digests) == 3
