"""The three answers to an order request, read from an HTTP reply."""

from __future__ import annotations

from algo_scalper.adapters.dhan.failures import Failure, FailureKind, failure_in
from algo_scalper.adapters.dhan.values import shown, text
from algo_scalper.domain.ports import Accepted, Outcome, Rejected, Unknown

_ID_FIELDS = ("orderId", "alertId")


def judge(status: int, body: object) -> Outcome:
    """What the answer to an order request means.

    4xx is a no, with the broker's words. 5xx, a time-out told by a balancer (408), a redirect and a success that names
    no order are Unknown: the request reached somebody. Slices of one order have one answer together: the ids with commas
    between them, or Unknown when some were taken and others not.
    """
    if isinstance(body, list) and len(body) > 1 and 200 <= status < 300:
        return _together([judge(status, one) for one in body])
    failure = failure_in(status, body)
    if settles_nothing(status):
        return Unknown(str(failure or Failure(FailureKind.OTHER, status, "", "no order in the answer")))
    if failure is not None:
        return Rejected(str(failure))
    answer = body[0] if isinstance(body, list) and len(body) == 1 else body
    broker_id = ""
    if isinstance(answer, dict):
        broker_id = next((found for field in _ID_FIELDS if (found := text(answer.get(field)))), "")
    if not broker_id:
        return Unknown(f"HTTP {status} without an order id: {shown(body, 120)}")
    if isinstance(answer, dict) and text(answer.get("orderStatus")).upper() == "REJECTED":
        return Rejected(f"order {broker_id} was rejected")
    return Accepted(broker_id)


def settles_nothing(status: int) -> bool:
    """A server error, a time-out told by a balancer, a redirect: the request reached somebody, and who knows further."""
    return status >= 500 or status == 408 or 300 <= status < 400


def _together(answers: list[Outcome]) -> Outcome:
    ids = [answer.broker_id for answer in answers if isinstance(answer, Accepted)]
    if len(ids) == len(answers):
        return Accepted(",".join(ids))
    refused = [answer.reason for answer in answers if isinstance(answer, Rejected)]
    if len(refused) == len(answers):
        return Rejected("; ".join(refused))
    return Unknown(f"{len(ids)} of {len(answers)} slices were taken: {', '.join(ids) or 'no ids'}")
