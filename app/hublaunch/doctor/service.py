"""`hublaunch doctor` on the running service: what only its callers' requests can show."""

import httpx

from hublaunch.doctor.finding import Finding

SERVICE_TIMEOUT_S = 5.0


async def examine_proxies(port: int) -> Finding:
    """Return whether a proxy that the settings do not name forwards callers to the service at this port."""
    check, url = "proxies", f"http://127.0.0.1:{port}/readyz"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=SERVICE_TIMEOUT_S) as http:
            address = (await http.get(url)).json()["unnamed_proxy"]
    except (httpx.HTTPError, ValueError, TypeError, KeyError):
        told = (
            f"No hublaunch answers at {url}, which would tell of proxies that LAUNCHER_TRUSTED_PROXIES does not name."
        )
        return Finding(check=check, state="unknown", told=told, advice="Run this where it runs, with its --port.")
    if address is None:
        return Finding(
            check=check, state="ok", told="No proxy forwards callers that LAUNCHER_TRUSTED_PROXIES does not name."
        )
    told = f"{address} forwards callers, and LAUNCHER_TRUSTED_PROXIES does not name it: they all count as one address."
    advice = "If it is your proxy, add its address, or a network that has no other machines than your proxies."
    return Finding(check=check, state="warning", told=told, advice=advice)
