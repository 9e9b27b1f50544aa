"""Asks the running service about proxies, which only its callers' requests reveal."""

import httpx

from hublaunch.doctor.finding import Finding

SERVICE_TIMEOUT_S = 5.0


async def examine_proxies(port: int) -> Finding:
    """Return the finding on whether a proxy that LAUNCHER_TRUSTED_PROXIES does not name forwards requests."""
    check, url = "proxies", f"http://127.0.0.1:{port}/readyz"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=SERVICE_TIMEOUT_S) as http:
            address = (await http.get(url)).json()["unnamed_proxy"]
    except (httpx.HTTPError, ValueError, TypeError, KeyError):
        message = (
            f"No hublaunch answers at {url}, so it is unknown whether LAUNCHER_TRUSTED_PROXIES names all your proxies."
        )
        return Finding(
            check=check,
            state="unknown",
            message=message,
            advice="Run this on the machine of the service, with the same --port.",
        )
    if address is None:
        return Finding(check=check, state="ok", message="No unknown proxy forwards requests.")
    message = (
        f"{address} forwards requests, but LAUNCHER_TRUSTED_PROXIES does not name it. All callers behind it count as "
        "one address."
    )
    advice = "If it is your proxy, add its address, or a network in which every machine is your proxy."
    return Finding(check=check, state="warning", message=message, advice=advice)
