import pytest

from pabal import errors

# Section 8 of the protocol, with the statuses of section 7.
CODES = [
    ("bad_request", errors.BadRequest, 400),
    ("unauthorized", errors.Unauthorized, 401),
    ("forbidden", errors.Forbidden, 403),
    ("not_found", errors.NotFound, 404),
    ("not_a_member", errors.NotAMember, 403),
    ("blocked", errors.Blocked, 403),
    ("too_large", errors.TooLarge, 413),
    ("rate_limited", errors.RateLimited, 429),
    ("conflict", errors.Conflict, 409),
    ("unavailable", errors.Unavailable, 503),
]


@pytest.mark.parametrize(("code", "refusal", "status"), CODES)
def test_each_refusal_has_the_code_and_status_of_the_contract(code, refusal, status):
    assert (refusal.code, refusal.http_status) == (code, status)
    assert errors.BY_CODE[code] is refusal


def test_the_contract_names_every_code_and_no_other():
    assert set(errors.BY_CODE) == {code for code, _, _ in CODES}
    assert len(errors.REFUSALS) == len(CODES)


@pytest.mark.parametrize("refusal", errors.REFUSALS)
def test_one_root_catches_every_refusal_and_no_refusal_catches_another(refusal):
    assert refusal.__bases__ == (errors.PabalError,)
    assert issubclass(refusal, Exception)


def test_a_refusal_carries_its_data_and_reads_as_its_detail():
    plain = errors.NotFound("no such user")
    assert (plain.detail, plain.field, plain.retry_after, str(plain)) == (
        "no such user",
        None,
        None,
        "no such user",
    )


def test_the_detail_names_the_field_to_blame():
    error = errors.BadRequest("this field is required", field="conv")
    assert error.field == "conv"
    assert error.detail == str(error) == "conv: this field is required"


def test_a_refusal_for_now_says_when_to_try_again():
    assert errors.RateLimited("slow down", retry_after=3).retry_after == 3
