"""`EventStream` replaces methods of its parent that are not public: they must still be those that are called."""

import inspect

import pytest
from sse_starlette import EventSourceResponse

from app.api.sse import EventStream


@pytest.mark.parametrize("method", ["_stream_response", "_listen_for_exit_signal_with_grace"])
def test_a_method_that_is_replaced_is_one_that_the_parent_calls(method: str) -> None:
    assert method in vars(EventStream)
    assert f"self.{method}" in inspect.getsource(EventSourceResponse.__call__)
