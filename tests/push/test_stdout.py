"""The service of those who only look."""

import logging

from push_talk import CLEAR, HELLO, subscription

from bridge.push.ports import Sent
from push.stdout import Stdout


async def test_a_push_is_one_line_of_the_log(caplog):
    service = Stdout()
    with caplog.at_level(logging.INFO, "pabal.push"):
        assert isinstance(await service.send(subscription("stdout"), HELLO), Sent)
        assert isinstance(await service.send(subscription("stdout"), CLEAR), Sent)
    assert [record.getMessage() for record in caplog.records] == [
        "push to bob/phone (message, badge 3): 'Alice: 안녕, Bob'",
        "push to bob/phone (clear, badge 0)",
    ]
    assert service.check({"anything": 1}) == {}
    await service.close()
