"""HubLogins: the owners of Hub tokens, and logins of browsers at the Hub."""

from hublaunch.hub.operations import Operation
from hublaunch.hub.rest import HubRest
from hublaunch.hub.wire import OAuthTokenModel, SelfModel, parse
from hublaunch.launch.errors import HubRefused
from hublaunch.launch.ports import Identity, LoginToken


class HubLogins:
    """The Hub's users as callers of this service. Each method sends one request, without retries."""

    def __init__(self, rest: HubRest) -> None:
        self._rest = rest

    async def identify(self, token: str) -> Identity | None:
        """Return the owner of a token, from `GET /user` with that token; None if the Hub does not know the token.

        Raises HubUnavailable if the Hub gives no answer.
        """
        operation = Operation.IDENTIFY
        try:
            answer = await self._rest.call("GET", "user", operation, token=token)
        except HubRefused as refusal:
            if refusal.status in (401, 403):
                return None
            raise
        return parse(SelfModel, answer.content, operation).identity()

    async def exchange_code(
        self, *, client_id: str, code: str, code_verifier: str, redirect_uri: str
    ) -> LoginToken | None:
        """Return the token of a browser that returns from the Hub's login with `code`; None if the code is not valid.

        `POST /oauth2/token` (RFC 6749 §4.1.3, with PKCE as in RFC 7636). A code works only once.
        """
        operation = Operation.EXCHANGE_CODE
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
        }
        try:
            answer = await self._rest.exchange_code(form, operation)
        except HubRefused as refusal:
            if refusal.status in (400, 401, 403):
                return None
            raise
        granted = parse(OAuthTokenModel, answer.content, operation)
        return LoginToken(token=granted.access_token, expires_in_s=granted.expires_in)
