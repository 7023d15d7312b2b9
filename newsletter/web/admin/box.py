"""The sign-up box for the paper's own site: three ways to put it there, each to be seen at work."""

from __future__ import annotations

from flask import Response, make_response, render_template
from flask_babel import gettext
from markupsafe import Markup, escape

from newsletter.foundation.links import the_links
from newsletter.newsletters.models import Newsletter, newsletter
from newsletter.web.admin.access import pages, staff_only
from newsletter.web.security import POLICY
from newsletter.web.speaking import speaking

FRAMED_BY_US = POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")


@pages.get("/newsletters/<slug>/box", endpoint="box")
@staff_only
def show(slug: str) -> str:
    shown = newsletter(slug)
    return render_template("admin/box.html", newsletter=shown, codes=codes(shown))


def codes(of: Newsletter) -> dict[str, str]:
    """What is pasted into a page, by its kind; our words in it are in the newsletter's language."""
    to = the_links().to
    with speaking(of.language):
        sign_up = escape(gettext("Sign up for %(name)s", name=of.name))
        address, button = escape(gettext("Your e-mail address")), escape(gettext("Sign Up Now"))
    page = escape(to(f"/subscribe?newsletter={of.slug}"))
    return {
        "script": (
            f'<script async src="{escape(to(f"/embed/{of.slug}.js"))}"></script>'
            f'<noscript><a href="{page}">{sign_up}</a></noscript>'
        ),
        "frame": (
            f'<iframe src="{escape(to(f"/embed/{of.slug}"))}" title="{sign_up}" '
            'width="100%" height="360" style="border:0" loading="lazy"></iframe>'
        ),
        "form": "\n".join(
            (
                f'<form method="post" action="{escape(to("/subscribe"))}">',
                f'  <input type="hidden" name="newsletter" value="{of.slug}">',
                f"  <label>{address}",
                '    <input name="email" type="email" autocomplete="email" required></label>',
                f"  <button>{button}</button>",
                f"  <p>{escape(of.sign_up_text.text)}</p>",
                "</form>",
            )
        ),
    }


@pages.get("/newsletters/<slug>/box/<any(script, form):kind>", endpoint="box_alone")
@staff_only
def alone(slug: str, kind: str) -> Response:
    """A page with nothing but the code, as it would stand in another site's."""
    shown = newsletter(slug)
    code = Markup(codes(shown)[kind])
    answer = make_response(render_template("admin/box_alone.html", newsletter=shown, code=code))
    answer.headers["Content-Security-Policy"] = FRAMED_BY_US
    return answer
