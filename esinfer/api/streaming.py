"""Event streams out: what a streamed inference says, as it comes.

Nothing is sent before the first event or error is there. Waiting for a slow
client waits for the upstream too, since nothing is read meanwhile; a client
that goes away takes the upstream's connection with it. Source:
hugging_face.md section 4.1.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from aiohttp import HttpVersion11, hdrs, web

from esinfer.api.keys import NAMESPACE
from esinfer.api.protocol import Protocol
from esinfer.api.responses import EVENT_FORM, EVENT_STREAM, SHAPE, shape_error
from esinfer.errors import ElasticsearchError, IllegalState, RequestTimedOut
from esinfer.journal import CURRENT

logger = logging.getLogger(__name__)

_DONE = b"[DONE]"


async def send_events(
    request: web.Request, batches: AsyncIterator[list[bytes]]
) -> web.StreamResponse:
    """Answer 200 with every event; an error ends the stream, without ``[DONE]``."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: EVENT_STREAM})
    if request.version < HttpVersion11:
        response.force_close()  # or an old client waits for an end that it is not shown
    clock, entry = request[NAMESPACE].clock, CURRENT.get()
    with suppress(ConnectionError):  # the client is gone, there is nobody to tell
        async with aclosing(_framed(request, batches)) as framed:
            async for events in framed:
                if not response.prepared:
                    await response.prepare(request)
                if entry is not None:
                    entry.answer(response.status, response.headers, events)
                with clock.outside():
                    await response.write(events)
        await response.write_eof()
    return response


async def _framed(
    request: web.Request, batches: AsyncIterator[list[bytes]]
) -> AsyncGenerator[bytes]:
    """The events as they go out, a batch at a time, and the one that ends the stream."""
    form = request.app[EVENT_FORM]
    try:
        async for batch in batches:
            yield b"".join(map(form.message, batch))
    except RequestTimedOut:
        raise  # only the first event is waited for with a bound: nothing has been sent
    except ElasticsearchError as error:
        yield form.error(shape_error(error, request[SHAPE]))
    except Exception:
        # The status is sent; only the stream itself can still say that it failed.
        logger.exception("%s %s failed", request.method, request.path)
        defect = IllegalState(reason="esinfer failed; see its log")
        yield form.error(shape_error(defect, request[SHAPE]))
    else:
        yield form.message(_DONE)


def protocol_of(request: web.Request) -> Protocol:
    """The connection of a request, which is ours."""
    protocol = request.protocol
    if not isinstance(protocol, Protocol):
        raise TypeError("the app runs behind esinfer's own protocol")
    return protocol
