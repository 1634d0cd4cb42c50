"""A device without MQTT: it posts messages over HTTP, with an id, and polls its inbox from its cursor."""

import threading
import time

import httpx2

from faultlab.device import Device, conversation
from faultlab.groups import described
from faultlab.recorder import Event

_WAIT_S = 3
_TIMEOUT_S = 8.0
_AGAIN_S = 0.3
_READ_SHARE = 0.05


def run(device: Device) -> None:
    sender = threading.Thread(target=_talk, args=(device,), name="talk", daemon=True)
    sender.start()
    _listen(device)
    sender.join(2 * _TIMEOUT_S)


def _client(device: Device) -> httpx2.Client:
    return httpx2.Client(
        base_url=f"http://127.0.0.1:{device.config.http}/v1",
        headers={"Authorization": f"Bearer {device.config.secret}"},
        timeout=_TIMEOUT_S,
    )


def _ask(device: Device, http: httpx2.Client, method: str, path: str, **more) -> httpx2.Response | None:
    """The answer, if there is one that means something. Returns None after a pause where it has to be asked again."""
    try:
        answer = http.request(method, path, **more)
    except httpx2.HTTPError:
        answer = None
    if answer is None or answer.status_code in {429, 503}:
        device.ending.wait(_AGAIN_S)
        return None
    return answer


def _listen(device: Device) -> None:
    receipts = [event for event in device.past if event["what"] == "receipt"]
    epoch, cursor = (receipts[-1]["epoch"], receipts[-1]["seq"]) if receipts else (None, 0)
    with _client(device) as http:
        while not device.ending.is_set():
            asked = {"after": cursor, "wait": _WAIT_S, "limit": 500, **({"epoch": epoch} if epoch else {})}
            answer = _ask(device, http, "GET", "/sync", params=asked)
            if answer is None:
                continue
            if answer.status_code != 200:
                raise AssertionError(f"sync was answered {answer.status_code}: {answer.text[:300]}")
            page = answer.json()
            epoch = page["epoch"]
            if page.get("reset"):
                cursor = page["head"]
                device.heard(0, {"type": "snapshot", "seq": cursor, "epoch": epoch})
                device.groups.start_over(epoch, cursor, page["conversations"])
                continue
            for item in page["items"]:
                device.point("before_keep")
                device.heard(0, item)
                cursor = item["seq"]
            device.groups.told(page["rooms"])
            _read_on(device, http)


def _talk(device: Device) -> None:
    answered = {event.get("id") for event in device.past if event["what"] in {"reply", "refused"}}
    unanswered = [e for e in device.past if e["what"] == "invoke" and e["id"] not in answered]
    with _client(device) as http:
        for event in unanswered:
            _post(device, http, event)
        while not device.ending.is_set():
            device.drained(empty=True)
            if device.ending.wait(device.pause()) or device.quiet.is_set():
                time.sleep(0.02)
                continue
            text = device.words()
            known = described(text)
            conv = conversation(device.config.user, device.peer())
            id_ = str(known["text"]).replace(" ", ".")
            invoked: Event = {"conv": conv, "id": id_, "mentions": device.mentions(conv), **known}
            device.recorder.note("invoke", **invoked)
            _post(device, http, invoked)
            if device.chance(_READ_SHARE):
                _read_up(device, http, conv)


def _post(device: Device, http: httpx2.Client, invoked: Event) -> None:
    """Until it is answered, or the device ends."""
    text, conv, id_ = invoked["text"], invoked["conv"], invoked["id"]
    whole = text + " " + "x" * (invoked["size"] - len(text) - 1)
    request = {"id": id_, "text": whole, "mentions": invoked["mentions"]}
    while not device.ending.is_set():
        answer = _ask(device, http, "POST", f"/conversations/{conv}/messages", json=request)
        if answer is None:
            continue
        said = answer.json()
        if answer.status_code in {200, 201}:
            fields = {name: said[name] for name in ("conv", "message_id", "dup")}
            device.recorder.note("reply", id=id_, ok=True, text=text, **fields)
        else:
            device.recorder.note("refused", id=id_, text=text, conv=conv, error=said.get("code"))
        return


def _read_up(device: Device, http: httpx2.Client, conv: str) -> None:
    """Once, whatever comes of it."""
    if conv in device.tops:
        request = {
            "op": "read",
            "id": f"read.{time.monotonic_ns()}",
            "conv": conv,
            "message_id": device.tops[conv],
        }
        answer = _ask(device, http, "POST", "/requests", json=request)
        if answer is not None and answer.status_code != 200:
            device.recorder.note("refused", conv=conv, error=answer.json().get("code"))


def _read_on(device: Device, http: httpx2.Client) -> None:
    """What has come in the large groups, page by page."""
    for request in device.groups.missing():
        conv = str(request["conv"])
        asked = {"after": request["after"], "limit": request["limit"]}
        answer = _ask(device, http, "GET", f"/conversations/{conv}/messages", params=asked)
        # Who is no member any more hears it here first; the inbox says so as well.
        if answer is not None and answer.status_code == 200:
            items = answer.json()["items"]
            device.groups.page(conv, items)
            device.tops[conv] = max([device.tops.get(conv, 0), *(item["message_id"] for item in items)])
