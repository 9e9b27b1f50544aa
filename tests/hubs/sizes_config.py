"""A Hub with a spawner of plain processes that checks sizes as docs/catalogue.md tells operators."""

import sys
from pathlib import Path

from hublaunch.demo.process import CONFIG
from hublaunch.demo.spawner import apply_launch_options
from tests.docs.pages import DOCS, blocks

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it there
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above

guide: dict[str, object] = {"c": c}
exec(next(block.text for block in blocks(DOCS / "catalogue.md") if block.language == "python"), guide)


def apply(spawner: object, options: dict[str, object]) -> None:
    apply_launch_options(spawner, options)
    guide["apply_size"](spawner, options)  # type: ignore[operator]  # the guide defines it


c.Spawner.apply_user_options = apply
c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
c.Spawner.args = []
