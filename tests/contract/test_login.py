"""The code of a browser's login for a service. `tests/e2e` covers the login itself."""

import httpx
import pytest

from tests.contract.contract_hub import ContractHub


async def _exchange(hub: ContractHub, **form: str) -> httpx.Response:
    asked = {
        "grant_type": "authorization_code",
        "client_id": "service-launcher",
        "client_secret": hub.token,
        "code": "none",
        "code_verifier": "v" * 43,
        "redirect_uri": "/services/launcher/oauth_callback",
    }
    return await hub.api.post("oauth2/token", data=asked | form, headers={"Authorization": ""})


async def test_an_invalid_code_is_refused_with_an_oauth_error(hub: ContractHub) -> None:
    answer = await _exchange(hub)

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("form", [{"client_secret": "wrong"}, {"client_id": "service-another"}])
async def test_an_unknown_client_is_refused_with_an_oauth_error(hub: ContractHub, form: dict[str, str]) -> None:
    answer = await _exchange(hub, **form)

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
