"""What the person who is signed in gets as mail."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.staff import settings
from newsletter.staff.models import staff_person
from newsletter.staff.rights import Right
from newsletter.web.admin.access import me, pages, staff_only


@pages.route("/me", endpoint="me", methods=["GET", "POST"])
@staff_only
def mine() -> ResponseReturnValue:
    may_approve = me().may(Right.EDIT)
    if request.method == "POST":
        offered = settings.WISHES if may_approve else ("wants_alerts",)
        wishes = {wish: "yes" if wish in request.form else "no" for wish in offered}
        settings.change(me().address, the_clock().now(), me().actor, **wishes)
        flash("Saved.", "done")
        return redirect(url_for("admin.me"), 303)
    return render_template("admin/me.html", person=staff_person(me().id), may_approve=may_approve)
