"""`Idempotency-Key`: requests that are repeated."""

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, read_events

KEY = "1d1f3c0e-7a1e-4d0c-9d40-2f6f9f7d9a51"


async def test_a_repeated_request_gets_the_same_answer_and_starts_nothing(service: Service, hub: FakeHub) -> None:
    headers = {"Idempotency-Key": KEY}
    first = await service.http.post("/launch", json=BODY, headers=headers)
    events = await service.events(first.json()["events_url"])

    again = await service.http.post("/launch", json=BODY, headers=headers)
    stream = await service.http.post("/launch", json=BODY, headers=headers | {"Accept": "text/event-stream"})

    assert (again.status_code, again.headers["Location"]) == (202, first.headers["Location"])
    assert again.json()["secret"] == first.json()["secret"]
    assert again.json()["status"] == "ready"
    assert again.json()["token"]
    assert (stream.status_code, stream.text.count("\ndata: {")) == (200, len(events))
    assert len(hub.users) == 1


async def test_a_broken_stream_is_resumed_by_the_same_post(service: Service, hub: FakeHub) -> None:
    """Resume as fetch-event-source does: with the same request and the id of the last event."""
    headers = {"Idempotency-Key": KEY, "Accept": "text/event-stream"}
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    begin, rest = [], []
    async with service.http.stream("POST", "/launch", json=BODY, headers=headers) as stream:
        assert stream.headers["X-Launch-Cursor"] == "0"
        async for event in read_events(stream):
            begin.append(event["seq"])
            if event["message"] == "Pulling":
                break
    hub.release(next(iter(hub.users)))

    resumed = {**headers, "Last-Event-ID": str(begin[-1])}
    async with service.http.stream("POST", "/launch", json=BODY, headers=resumed) as stream:
        assert stream.headers["X-Launch-Cursor"] == str(begin[-1])
        rest = [event["seq"] async for event in read_events(stream)]
    over = await service.http.post("/launch", json=BODY, headers={**headers, "Last-Event-ID": str(rest[-1])})

    assert begin + rest == list(range(1, rest[-1] + 1))
    assert (over.status_code, over.content) == (204, b"")
    assert len(hub.users) == 1


@pytest.mark.parametrize("sent", [f'"{KEY}"', KEY])
async def test_quotes_around_a_key_make_no_difference(service: Service, sent: str) -> None:
    first = await service.http.post("/launch", json=BODY, headers={"Idempotency-Key": f'"{KEY}"'})

    again = await service.http.post("/launch", json=BODY, headers={"Idempotency-Key": sent})

    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("change", [{"repo_url": "https://example.org/other"}, {"ref": "dev"}, {"path": "x"}])
async def test_another_request_with_the_key_is_refused(service: Service, hub: FakeHub, change: dict[str, str]) -> None:
    await service.http.post("/launch", json=BODY, headers={"Idempotency-Key": KEY})

    other = await service.http.post("/launch", json=BODY | change, headers={"Idempotency-Key": KEY})

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert KEY not in other.text


@pytest.mark.parametrize("sent", ["", "short", "x" * 256, "ünlesbar-und-lang-genug-für-alle"])
async def test_invalid_keys_are_refused(service: Service, hub: FakeHub, sent: str) -> None:
    answer = await service.http.post("/launch", json=BODY, headers={b"Idempotency-Key": sent.encode()})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert hub.users == {}
