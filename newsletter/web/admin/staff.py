"""Who works here: invited, given what they may do and where, and let go."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import the_links
from newsletter.newsletters.models import newsletters
from newsletter.staff import inviting, managing, sessions
from newsletter.staff.models import Role, Staff, everybody, second_factor_required
from newsletter.staff.rights import Grant, Right, usual, whole
from newsletter.web.admin.access import attempt, me, needs, pages, proven
from newsletter.web.admin.signing_in import staffs_sender

ONE = "/staff/<int(max=2147483647):id>"
INVITED = "/staff/invitations/<int(max=2147483647):id>"


class GrantInvalid(NewsletterError):
    """{problem} Nothing was changed."""


@pages.get("/staff", endpoint="staff")
@needs(Right.OWN)
def show_all() -> str:
    return render_template(
        "admin/staff.html",
        people=everybody(),
        seen=sessions.last_seen(),
        invitations=inviting.waiting(),
        names=_names(),
        required=second_factor_required(),
    )


def _names() -> dict[int, str]:
    return {one.id: one.name for one in newsletters()}


@pages.route("/staff/invite", endpoint="invite", methods=["GET", "POST"])
@proven
@needs(Right.OWN)
def invite() -> ResponseReturnValue:
    address, given, error = request.form.get("email", ""), usual(Role.EDITOR), None
    if request.method == "POST" and "email" in request.form:
        try:
            given = _typed()
            now, links = the_clock().now(), the_links()
            asked = inviting.invite(address, given, now, me().actor, links, staffs_sender())
        except NewsletterError as problem:
            error = problem
        else:
            flash(f"{asked.address} gets a mail now. Its link works for a week, and once.", "done")
            return redirect(url_for("admin.staff"), 303)
    page = render_template(
        "admin/staff_invite.html", address=address, given=given, error=error, newsletters=newsletters()
    )
    return page, 422 if error else 200


def _typed() -> Grant:
    """What the form gives. Raises GrantInvalid."""
    form, known = request.form, _names()
    if form.get("role") not in set(Role):
        raise GrantInvalid(problem="Choose a role.")
    ids = frozenset(int(one) for one in form.getlist("newsletter") if one.isdecimal() and len(one) < 10)
    limited = form.get("where") == "some"
    grant = whole(Grant(Role(form["role"]), "may_send" in form, ids & known.keys() if limited else None))
    if grant.newsletter_ids is not None and not grant.newsletter_ids:
        raise GrantInvalid(problem="Choose at least one newsletter, or all.")
    return grant


@pages.post(f"{INVITED}/again", endpoint="invite_again")
@proven
@needs(Right.OWN)
def send_again(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: inviting.send_again(id, the_clock().now(), me().actor, the_links(), staffs_sender()),
        "It is sent again, for another week. The link in the mail before it does nothing any more.",
        url_for("admin.staff"),
    )


@pages.post(f"{INVITED}/take-back", endpoint="take_back_invitation")
@proven
@needs(Right.OWN)
def take_back(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: inviting.take_back(id, the_clock().now(), me().actor),
        "The invitation is taken back. Its link does nothing any more.",
        url_for("admin.staff"),
    )


@pages.get(ONE, endpoint="person")
@needs(Right.OWN)
def show(id: int) -> str:
    return _page(managing.person(id))


def _page(person: Staff, given: Grant | None = None, error: NewsletterError | None = None) -> str:
    return render_template(
        "admin/person.html",
        person=person,
        given=given or Grant(person.role, person.may_send, person.newsletter_ids),
        newsletters=newsletters(),
        seen=sessions.last_seen().get(person.id),
        is_me=person.id == me().id,
        error=error,
    )


@pages.post(f"{ONE}/rights", endpoint="grant")
@proven
@needs(Right.OWN)
def grant(id: int) -> ResponseReturnValue:
    person = managing.person(id)
    try:
        changed = managing.grant(id, _typed(), the_clock().now(), me().actor)
    except NewsletterError as error:
        return _page(person, error=error), 422
    flash(f"Saved. It counts for {changed.address} from the next click on.", "done")
    return redirect(url_for("admin.staff" if id != me().id else "admin.home"), 303)


@pages.post(f"{ONE}/disable", endpoint="disable_person")
@proven
@needs(Right.OWN)
def disable(id: int) -> ResponseReturnValue:
    address = managing.person(id).address
    return attempt(
        lambda: managing.disable(id, the_clock().now(), me().actor),
        f"{address} is signed out everywhere, and comes in by nothing any more.",
        url_for("admin.staff"),
    )


@pages.post(f"{ONE}/enable", endpoint="enable_person")
@proven
@needs(Right.OWN)
def enable(id: int) -> ResponseReturnValue:
    address = managing.person(id).address
    return attempt(
        lambda: managing.enable(id, the_clock().now(), me().actor),
        f"{address} may come in again, as before.",
        url_for("admin.staff"),
    )


@pages.post(f"{ONE}/reset-second-factor", endpoint="reset_second_factor")
@proven
@needs(Right.OWN)
def reset_second_factor(id: int) -> ResponseReturnValue:
    address = managing.person(id).address
    return attempt(
        lambda: managing.reset_second_factor(id, the_clock().now(), me().actor),
        f"{address} has no codes and no passkeys any more, and is signed out everywhere.",
        url_for("admin.person", id=id),
    )


@pages.post("/staff/policy", endpoint="staff_policy")
@proven
@needs(Right.OWN)
def policy() -> ResponseReturnValue:
    required = request.form.get("second_factor") == "required"
    done = "Whoever has no second factor is led to set one up first." if required else "A second factor is up to each."
    return attempt(
        lambda: managing.require_second_factor(required, the_clock().now(), me().actor), done, url_for("admin.staff")
    )
