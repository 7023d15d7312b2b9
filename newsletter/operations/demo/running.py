"""Starting the demo: `newsletter demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from newsletter.foundation import config as config_module
from newsletter.foundation.network import port_is_free
from newsletter.operations import assembling, serve
from newsletter.operations.demo import setting_up


def run(folder: Path, port: int, fresh: bool, say: Callable[[str], None]) -> None:
    """Set the demo up where need be, say where it is, and serve it until SIGTERM. Raises CannotStart."""
    if not port_is_free("127.0.0.1", port):
        raise serve.PortInUse(host="127.0.0.1", port=port, how="newsletter demo --port N")
    with setting_up.alone_in(folder):
        _run(folder, port, fresh, say)


def _run(folder: Path, port: int, fresh: bool, say: Callable[[str], None]) -> None:
    file = setting_up.folder_for(folder, port, fresh)
    config = config_module.load(file)
    assembling.upgrade(config)
    app = assembling.assemble(config)
    setting_up.furnish(app)
    with app.app_context():
        link = setting_up.sign_in_link()

    def when_up() -> None:
        say(f"\nDaily Headlines, the demo. Begin here:   {config.site_url}/demo/\n")
        say(f"Sign in as staff, once, with this link:  {link}\n")
        say(f"Mails are files in {folder / 'mail'}, and shown at {config.site_url}/demo/mailbox")
        say("Stop it with Ctrl-C; started again it goes on where it was. Afresh: newsletter demo --fresh\n")

    serve.the_group(config, file).run(when_up)
