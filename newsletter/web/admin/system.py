"""How the whole house stands: who lives, what waits, what was done last."""

from __future__ import annotations

from flask import render_template

from newsletter.delivery import standing
from newsletter.foundation.clock import the_clock
from newsletter.staff.rights import Right
from newsletter.web.admin.access import needs, pages


@pages.get("/system", endpoint="system")
@needs(Right.OWN)
def show() -> str:
    return render_template("admin/system.html", standing=standing.standing(the_clock().now()))


@pages.get("/system/facts", endpoint="system_facts")
@needs(Right.OWN)
def facts() -> str:
    """What changes on the page while somebody looks at it."""
    return render_template("admin/_system.html", standing=standing.standing(the_clock().now()))
