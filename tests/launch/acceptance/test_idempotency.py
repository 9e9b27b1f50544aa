"""The digests by which a repeated request is recognized."""

from hublaunch.launch.acceptance.idempotency import idempotency_key
from hublaunch.launch.model import Caller, LaunchRequest

CALLER = Caller(kind="key", key="ci")


def test_the_digest_of_a_request_matches_digests_stored_by_earlier_releases() -> None:
    key = idempotency_key("k", CALLER, LaunchRequest(image="a/b"))

    assert key.request == "bd121a8aa819d43d3d4734dc7384b922e74524f055596340ec918441e50e480d"


def test_another_path_is_another_request() -> None:
    paths = ("", "lab", "lab/tree/x.ipynb")

    digests = {idempotency_key("k", CALLER, LaunchRequest(image="a/b", path=path)).request for path in paths}

    assert len(digests) == 3
