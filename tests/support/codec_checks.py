"""What every answer of the codec promises."""

import json

from pabal import codec
from pabal import messages as m
from pabal.codec import Format, Rejected
from pabal.errors import BadRequest, TooLarge


def check(payload, form):
    """Decodes; holds the answer to what every answer promises."""
    answers = codec.decode_requests(payload, form)
    assert 1 <= len(answers) <= m.MAX_ARRAY
    for answer in [*answers, codec.decode_request(payload, form)]:
        if isinstance(answer, Rejected):
            check_refusal(answer)
        else:
            assert type(answer) in m.OPS.values()
            check_content(answer)
    return answers


def check_refusal(answer):
    error = answer.error
    assert type(error) in {BadRequest, TooLarge}
    assert answer.re is None or (0 < len(answer.re) <= 64 and "\0" not in answer.re)
    assert error.field is None or error.detail.startswith(error.field + ": ")
    assert 0 < len(error.detail) <= 200
    assert "\n" not in error.detail
    told = codec.encode(codec.refusal(answer.re, error))
    assert json.loads(told)["re"] == answer.re


def check_content(request):
    """What was accepted can be written, in both formats, and is within its limits."""
    assert request.id is None or (0 < len(request.id) <= 64 and "\0" not in request.id)
    again = codec.encode(request)
    assert codec.decode_requests(again) == [request]
    codec.encode(request, Format.MSGPACK)
    if isinstance(request, m.Send):
        assert (request.to is None) != (request.conv is None)
        assert request.text is not None or request.body is not None
        assert len((request.text or "").encode()) <= 32_768
        assert len(codec.encode(request.body)) <= 65_536


def refused(payload, form=Format.JSON):
    (answer,) = check(payload, form)
    assert isinstance(answer, Rejected), answer
    return (answer.re, answer.error.code, answer.error.field)
