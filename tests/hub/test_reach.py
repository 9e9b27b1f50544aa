"""Answers that prove a server, and hosts that hublaunch asks because of a server's address.

The answers are those of real programs: JupyterHub 6.1.1 with configurable-http-proxy 5.3, jupyter-server 2.21 alone and
under jupyterhub-singleuser, jhsingle-native-proxy 0.8, nginx and Traefik.
"""

import pytest

from hublaunch.hub.address import HubAddress
from hublaunch.hub.reach import ServerProbe, public_url
from hublaunch.launch.ports import Reach, Reached
from hublaunch.wire.transport import WireTransport
from tests.fakes.front import NOT_FOUND, front, http, redirect
from tests.fakes.wire import Flood, WireServer, dripping

VERSION = b'{"version": "2.21.1"}'
LOGIN = "/hub/api/oauth2/authorize?client_id={}&redirect_uri=%2Fuser%2Fada%2Foauth_callback&response_type=code"


OF_THE_HUB = {"X-JupyterHub-Version": "6.1.1"}
HUB = http(200, b'{"version": "6.1.1"}', headers=OF_THE_HUB)
SINGLEUSER = http(200, VERSION, headers=OF_THE_HUB)
PLAIN_JUPYTER = http(200, VERSION)
NO_ROUTE = redirect("/hub/user/ada/api", headers=OF_THE_HUB)


async def reach(
    proxy_url: str | None,
    url: str,
    *,
    hub_url: str = "https://hub.test/",
    username: str = "ada",
    server_name: str = "",
    timeout_s: float = 5,
) -> Reached:
    address = HubAddress(api_url=f"{hub_url}hub/api/", hub_url=hub_url, proxy_url=proxy_url)
    timeouts = {"connect": timeout_s, "write": timeout_s, "read": timeout_s}
    async with WireTransport() as transport:
        return await ServerProbe(transport, address, timeouts=timeouts).reach(username, server_name, url)


# --- answers that prove a server --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SINGLEUSER, id="jupyterhub-singleuser"),
        pytest.param(PLAIN_JUPYTER, id="a Jupyter server with a token of its own"),
        pytest.param(redirect(LOGIN.format("jupyterhub-user-ada"), headers=OF_THE_HUB), id="jhsingle-native-proxy"),
        pytest.param(
            redirect("https://hub.test" + LOGIN.format("jupyterhub-user-ada")), id="its redirect with subdomains"
        ),
    ],
)
async def test_a_server_is_recognized_by_its_version_or_its_own_login(answer: bytes) -> None:
    async with front({"/user/ada/api": answer}) as proxy:
        reached = await reach(proxy.url, "https://hub.test/user/ada/")

    assert reached.reach is Reach.ANSWERS
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(NO_ROUTE, id="the Hub, as the proxy has no route"),
        pytest.param(
            http(424, b'{"message": "JupyterHub server no longer running"}', headers=OF_THE_HUB), id="the Hub"
        ),
        pytest.param(
            http(404, b"<html></html>", headers=OF_THE_HUB), id="a page of the Hub's, or of the user's own server"
        ),
        pytest.param(http(503, b"Service Unavailable"), id="the proxy, as the Hub is down"),
        pytest.param(http(502, b"<html>502 Bad Gateway</html>"), id="nginx"),
    ],
)
async def test_the_hub_and_its_proxy_are_not_the_server(answer: bytes) -> None:
    async with front({"/user/ada/api": answer, "/hub/api/": HUB}) as proxy:
        reached = await reach(proxy.url, "https://hub.test/user/ada/")

    assert reached.reach is Reach.ABSENT


@pytest.mark.parametrize("client_id", ["jupyterhub-user-ada", "jupyterhub-user-bob-lab", "service-hublaunch"])
async def test_the_login_of_another_server_does_not_count_for_a_named_server(client_id: str) -> None:
    """Without a route for the named server, the proxy asks the default server, which redirects to its own login."""
    answer = redirect(LOGIN.format(client_id), headers=OF_THE_HUB)
    async with front({"/user/ada/lab/api": answer, "/hub/api/": HUB}) as proxy:
        reached = await reach(proxy.url, "https://hub.test/user/ada/lab/", server_name="lab")

    assert reached.reach is Reach.ABSENT


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(NOT_FOUND, id="a server without an API"),
        pytest.param(http(200, b"<html>" + b" " * 100_000), id="a single page, larger than is read"),
        pytest.param(redirect("./login"), id="code-server"),
        pytest.param(redirect("/user/ada/auth-sign-in?appUri=%2F"), id="RStudio"),
        pytest.param(http(401, b"Unauthorized"), id="a password of its own"),
    ],
)
async def test_a_server_that_is_not_jupyter_is_unknown_behind_the_hubs_proxy(answer: bytes) -> None:
    async with front({"/user/ada/api": answer, "/hub/api/": HUB}) as proxy:
        reached = await reach(proxy.url, "https://hub.test/user/ada/")

    assert reached.reach is Reach.UNKNOWN


async def test_with_subdomains_the_hub_is_asked_by_its_own_host() -> None:
    """The proxy has no route to the Hub for the host of a server."""
    async with front({"/user/ada/api": NOT_FOUND, "/hub/api/": HUB}) as proxy:
        reached = await reach(proxy.url, "https://ada.hub.test:8443/user/ada/")

    assert reached.reach is Reach.UNKNOWN
    assert proxy.asked == [("/user/ada/api", "ada.hub.test:8443"), ("/hub/api/", "hub.test")]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(NOT_FOUND, 404, id="an ingress's default backend"),
        pytest.param(http(404, b"404 page not found\n"), 404, id="Traefik"),
        pytest.param(http(200, b"<html>Welcome to nginx!</html>"), 200, id="nginx"),
        pytest.param(redirect("https://login.example.org/?rd=%2Fuser%2Fada%2Fapi"), 302, id="oauth2-proxy"),
        pytest.param(redirect("https://hub.test/hub/home"), 302, id="a redirect to the Hub's pages"),
    ],
)
async def test_another_web_server_is_not_the_server(answer: bytes, status: int) -> None:
    async with front({}, otherwise=answer) as elsewhere:
        reached = await reach(elsewhere.url, "https://hub.test/user/ada/")

    assert reached == Reached(Reach.FOREIGN, status)


async def test_while_the_hub_is_down_a_404_does_not_count_as_another_web_server() -> None:
    async with front({"/user/ada/api": NOT_FOUND}, otherwise=http(503)) as proxy:
        reached = await reach(proxy.url, "https://hub.test/user/ada/")

    assert reached.reach is Reach.ABSENT


async def test_a_proxy_that_redirects_to_https_is_asked_over_https() -> None:
    async with front({"/user/ada/api": SINGLEUSER}) as public:
        to_https = redirect("https://proxy-public/user/ada/api", status=308)
        async with front({}, otherwise=to_https) as proxy:
            reached = await reach(proxy.url, f"{public.url}user/ada/", hub_url=public.url)

    assert reached.reach is Reach.ANSWERS


async def test_a_redirect_to_https_does_not_prove_the_server() -> None:
    async with front({}, otherwise=redirect("https://hub.test/user/ada/api", status=308)) as proxy:
        reached = await reach(None, f"{proxy.url}user/ada/", hub_url=proxy.url)

    assert reached == Reached(Reach.FOREIGN, 308)


async def test_an_unreachable_address_means_unknown(caplog: pytest.LogCaptureFixture) -> None:
    reached = await reach("http://127.0.0.1:1/", "https://hub.test/user/ada/")

    assert reached.reach is Reach.UNKNOWN
    assert "Set LAUNCHER_PROXY_URL" in caplog.text


# --- where a server is asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hub_url", "server_url", "expected"),
    [
        ("https://h.org/", "/user/a/", "https://h.org/user/a/"),
        ("https://h.org/base/", "/base/user/a/", "https://h.org/base/user/a/"),
        ("https://h.org/", "https://a.h.org/user/a/", "https://a.h.org/user/a/"),
        ("https://h.org/", "/user/a%20b/?x=1", "https://h.org/user/a%20b/"),
        ("https://h.org/a%20b/", "/a%20b/user/@c/", "https://h.org/a%20b/user/@c/"),
        ("https://h.org/", "/user/a", "https://h.org/user/a/"),
    ],
)
def test_a_servers_url_is_joined_with_the_hubs(hub_url: str, server_url: str, expected: str) -> None:
    assert public_url(hub_url, server_url) == expected


async def test_the_address_has_the_base_url_as_the_hub_quotes_it() -> None:
    login = "/a%20b/user/hub/api/oauth2/authorize?client_id=jupyterhub-user-x%2520y"
    async with front({"/a%20b/user/user/x%20y/api": redirect(login)}) as proxy:
        reached = await reach(proxy.url, "https://hub.test/a%20b/user/user/x%20y/", username="x y")

    assert reached.reach is Reach.ANSWERS
    assert proxy.asked == [("/a%20b/user/user/x%20y/api", proxy.url.split("/")[2])]


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test:{port}/user/ada/",
        "http://hub.test.evil.test:{port}/user/ada/",
        "http://evilhub.test:{port}/user/ada/",
        "http://127.0.0.1:{port}/user/ada/",
        "http://hub.test:1/user/ada/",
        "https://hub.test:{port}/user/ada/",
        "ftp://hub.test:{port}/user/ada/",
        "http://hub.test:{port}/user/bob/",
        "http://hub.test:{port}/services/ada/",
        "http://hub.test:{port}/user/ada/lab/",
    ],
)
async def test_only_the_hubs_hosts_and_the_servers_paths_are_asked(url: str) -> None:
    async with front({}, otherwise=PLAIN_JUPYTER) as victim:
        port = victim.url.rpartition(":")[2].strip("/")
        reached = await reach(None, url.format(port=port), hub_url=f"http://hub.test:{port}/")

    assert reached.reach is Reach.UNKNOWN
    assert victim.asked == []


# --- how much of an answer is read ------------------------------------------------------------------------------------

_SENT_MOST = 16_777_216
"""Out of 400 MiB: the kernel buffers some megabytes for each of two requests."""


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(Flood(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"version": "'), id="body"),
        pytest.param(Flood(b"HTTP/1.1 200 OK\r\n", piece=b"X-Filler: " + b"x" * 8000 + b"\r\n"), id="head"),
    ],
)
async def test_an_endless_answer_is_not_read(flood: Flood) -> None:
    async with WireServer(flood) as server:
        reached = await reach(f"{server.url}/", "https://hub.test/user/ada/")

    assert reached.reach is not Reach.ANSWERS
    assert flood.sent < _SENT_MOST


async def test_a_server_that_sends_single_bytes_times_out() -> None:
    async with WireServer(dripping(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        reached = await reach(f"{server.url}/", "https://hub.test/user/ada/", timeout_s=0.2)

    assert reached == Reached(Reach.ABSENT)
