"""Reports why the service could not start."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class StartFaults:
    """Reports an error at startup in one sentence if the operator can fix it; other errors keep their traceback."""

    def __init__(self, app: ASGIApp, *, plain: tuple[type[Exception], ...]) -> None:
        """`plain` are the errors that the operator can fix."""
        self._app = app
        self._plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: list[Message] = []

        async def hold_failure(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except Exception as error:
            for message in failed:
                await send({**message, "message": str(error)} if isinstance(error, self._plain) else message)
            raise
