# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may talk to the page's server: whoever has its token, from its own page.

Other programs of this machine and every page that its browser shows can reach the port. A token
keeps out who does not know it; the checks of Host and Origin keep out pages of other addresses,
also those whose name leads to this machine (DNS rebinding).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ('127.0.0.1', 'localhost')
_HEADERS = {
    # Nothing from elsewhere, and no script or style that does not come in a file of ours.
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}
_ADVICE = 'open the address that hier-seg label has printed'


class Guard:
    """An ASGI application before another one, which hears only what it may."""

    def __init__(self, application: ASGIApp, token: str) -> None:
        """Guard `application` with `token`."""
        self._application = application
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope['type'] != 'http':
            raise RuntimeError(f'{scope["type"]}: only HTTP is spoken here')

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault('Cache-Control', 'no-store')
            await send(message)

        answer = self._answer(scope)
        await (answer or self._application)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what a request gets that is not passed on."""
        headers = Headers(scope=scope)
        refused = refusal(headers, scope['method'])
        if refused:
            return JSONResponse({'error': refused}, 403)
        host = headers['host']
        cookie = f'hier_seg_{host.rpartition(":")[2] or "80"}'
        query = scope['query_string'].decode('latin-1')
        if scope['path'] == '/' and query.startswith('token='):
            if not self._is_token(query.removeprefix('token=')):
                return JSONResponse({'error': f'the token is not the right one; {_ADVICE}'}, 403)
            # The token leaves the address, and so the browser's history; what names a place in
            # the page (#…) stays.
            response = RedirectResponse('/', 303)
            response.set_cookie(cookie, self._token, httponly=True, samesite='lax')
            return response
        given = headers.get('authorization', '').removeprefix('Bearer ')
        given = given or cookie_parser(headers.get('cookie', '')).get(cookie, '')
        if not self._is_token(given):
            return JSONResponse({'error': f'there is no token; {_ADVICE}'}, 403)
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def refusal(headers: Mapping[str, str], method: str) -> str | None:
    """Return why a request does not come from the page itself; None where it may.

    Parameters
    ----------
    headers
        Of the request, by names in lower case.
    method
        Such as ``'GET'``.

    """
    host = headers.get('host', '')
    name, _, port = host.partition(':')
    # Another port than the server's own is one that SSH forwards.
    if name not in HOSTS or (port and not port.isdecimal()):
        return f'the host is not this machine; {_ADVICE}'
    if headers.get('origin', f'http://{host}') != f'http://{host}':
        return f'the request comes from another page; {_ADVICE}'
    # Pages at another port of this machine send no Origin for pictures. A link may lead here.
    site = headers.get('sec-fetch-site', 'none')
    follows_link = method == 'GET' and headers.get('sec-fetch-mode') == 'navigate'
    if site not in ('same-origin', 'none') and not follows_link:
        return f'the request comes from another page; {_ADVICE}'
    return None
