"""The journal of a test: what was asked, and assertions that read as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Unpack, overload

from esinfer.testing.requests import Request
from esinfer.testing.wanted import Criteria, Wanted, nearest

_MOST_LISTED = 10


class RequestJournal(Sequence[Request]):
    """The requests of clients so far, the oldest first; those of the test itself are not in it.

    Every look is at the requests of that moment. ``method``, ``path`` and
    criteria are those of ``Wanted``.
    """

    def __init__(self, read: Callable[[], list[Request]], clear: Callable[[], None]) -> None:
        self._read = read
        self._clear = clear

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[Request]:
        return iter(self._read())

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> list[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | list[Request]:
        return self._read()[index]

    def __repr__(self) -> str:
        return f"<journal of {_count(len(self), 'request')}>"

    def find(
        self, method: str | None = None, path: str | None = None, **criteria: Unpack[Criteria]
    ) -> list[Request]:
        """The requests that are as wanted."""
        return _fitting(Wanted(method, path, **criteria), self._read())

    def clear(self) -> None:
        """Forget all requests."""
        self._clear()

    # -- assertions

    def assert_request(
        self,
        method: str | None = None,
        path: str | None = None,
        *,
        times: int | None = None,
        **criteria: Unpack[Criteria],
    ) -> Request:
        """There was such a request, exactly so many ``times`` if that is said; the last of them.

        AssertionError shows the nearest request and what differs.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError("times is 1 or more; assert_none says that there is none")
        wanted = Wanted(method, path, **criteria)
        requests = self._read()
        fitting = _fitting(wanted, requests)
        if not fitting:
            raise AssertionError(_missing(wanted, times, requests))
        if times not in (None, len(fitting)):
            found = "\n".join(f"  {request}" for request in fitting[-_MOST_LISTED:])
            expected = _expected(wanted, times)
            raise AssertionError(f"{expected}; there {_were(len(fitting))}:\n{found}")
        return fitting[-1]

    def assert_none(
        self, method: str | None = None, path: str | None = None, **criteria: Unpack[Criteria]
    ) -> None:
        """There was no such request; without arguments, none at all."""
        __tracebackhide__ = True
        wanted = Wanted(method, path, **criteria)
        fitting = _fitting(wanted, self._read())
        if fitting:
            found = "\n".join(f"  {request}" for request in fitting[-_MOST_LISTED:])
            raise AssertionError(
                f"Expected no request {wanted}; there {_were(len(fitting))}:\n{found}"
            )

    def assert_order(self, *wanted: Wanted | str) -> list[Request]:
        """There were such requests, one after the other, whatever came between; these.

        A text such as ``POST /_inference/*`` is method and path.
        """
        __tracebackhide__ = True
        requests = self._read()
        steps = [Wanted.parse(one) if isinstance(one, str) else one for one in wanted]
        found: list[Request] = []
        rest = iter(requests)
        for step in steps:
            request = next((one for one in rest if not step.differences(one)), None)
            if request is None:
                raise AssertionError(_out_of_order(steps, found, requests))
            found.append(request)
        return found


def _fitting(wanted: Wanted, requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if not wanted.differences(request)]


# -- what failed assertions say -------------------------------------------------


def _missing(wanted: Wanted, times: int | None, requests: Sequence[Request]) -> str:
    lines = [f"{_expected(wanted, times)}; none of {_count(len(requests), 'request')} is such"]
    if requests:
        lines += [*_near_miss(wanted, requests), *_listed(requests)]
    return "\n".join(lines)


def _expected(wanted: Wanted, times: int | None) -> str:
    often = "" if times is None else f", {_count(times, 'time')}"
    return f"Expected a request {wanted}{often}"


def _near_miss(wanted: Wanted, requests: Sequence[Request]) -> Iterator[str]:
    near = nearest(wanted, requests)
    if near is not None:
        request, differences = near
        yield f"The nearest is {request}"
        yield from (f"  {difference}" for difference in differences)


def _out_of_order(
    steps: Sequence[Wanted], found: Sequence[Request], requests: Sequence[Request]
) -> str:
    among = _count(len(requests), "request")
    lines = [f"Expected requests in this order, of which > is missing among {among}:"]
    for number, step in enumerate(steps):
        met = f", which is {found[number]}" if number < len(found) else ""
        lines.append(f"{'>' if number == len(found) else ' '} {number + 1}. {step}{met}")
    lines += _too_early_or_near(steps[len(found)], found[-1].sequence if found else 0, requests)
    return "\n".join([*lines, *_listed(requests)])


def _too_early_or_near(step: Wanted, after: int, requests: Sequence[Request]) -> Iterator[str]:
    """Why a step was not found after the request of that number."""
    early = _fitting(step, [request for request in requests if request.sequence <= after])
    if early:
        yield f"It came too early: {early[-1]}"
    else:
        yield from _near_miss(step, [one for one in requests if one.sequence > after])


def _listed(requests: Sequence[Request]) -> Iterator[str]:
    if not requests:
        return
    shown = requests[-_MOST_LISTED:]
    yield "All requests:" if len(shown) == len(requests) else f"The last {len(shown)} requests:"
    yield from (f"  {request}" for request in shown)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _were(number: int) -> str:
    return "was 1" if number == 1 else f"were {number}"
