"""A device that uses the client library, with its outbox and cursor in a file."""

import threading

from faultlab.device import Device, addressed, conversation
from faultlab.groups import described
from pabal_client import Client, OutboxFull, backoff, events
from pabal_client.store import Store

_MOST_UNSENT = 30
_LONGEST_PAUSE_S = 2.0
_READ_SHARE = 0.05


def run(device: Device) -> None:
    config = device.config
    # A server that dies every few seconds would otherwise keep all clients away for a minute.
    backoff.LONGEST = _LONGEST_PAUSE_S
    _die_inside(device)
    client = Client.open(
        f"mqtt://127.0.0.1:{config.mqtt}",
        user=config.user,
        device=config.device,
        password=config.secret,
        store=config.store,
        on_event=lambda event: _note(device, event),
        keepalive=5,
        store_wait=10.0,
    )
    sender = threading.Thread(target=_talk, args=(device, client), name="talk", daemon=True)
    sender.start()
    times = sum(event["what"] == "start" for event in device.past) + 1
    with client:
        while not device.ending.is_set():
            for update in client.updates(timeout=0.1):
                told = {**update.fields(), "type": update.type, "seq": update.seq, "epoch": update.epoch}
                if update.seq is None:
                    device.groups.live(times, told)
                    continue
                device.heard(0, told)
                if update.type == "snapshot":
                    device.groups.start_over(update.epoch, update.seq, told["conversations"])
            if client.error is not None:
                raise client.error
            device.drained(empty=client.unsent == 0)
        sender.join(10)


def _die_inside(device: Device) -> None:
    """A point inside the library: updates were received, and are about to be kept."""
    keep = Store.note

    def note(self, takes, settled=()) -> None:
        if takes:
            device.point("before_keep")
        keep(self, takes, settled)

    Store.note = note


def _note(device: Device, event: events.Event) -> None:
    match event:
        case events.Sent(id, committed):
            device.recorder.note(
                "reply",
                id=id,
                ok=True,
                conv=committed.conv,
                message_id=committed.message_id,
                dup=committed.dup,
            )
        case events.NotSent(id, error):
            device.recorder.note("refused", id=id, error=error.code)
        case events.Online() | events.Offline():
            device.recorder.note("link", online=isinstance(event, events.Online))
        case _:
            pass


def _talk(device: Device, client: Client) -> None:
    while not device.ending.wait(device.pause()):
        if device.quiet.is_set() or client.error is not None:
            continue
        peer = device.peer()
        conv = conversation(device.config.user, peer)
        if device.chance(_READ_SHARE):
            _read_up(device, client, conv)
        if client.unsent < _MOST_UNSENT:
            text = device.words()
            mentions = device.mentions(conv)
            device.recorder.note("invoke", conv=conv, mentions=mentions, **described(text))
            try:
                pending = client.send_nowait(text=text, mentions=mentions, **addressed(peer))
            except OutboxFull:
                continue
            device.recorder.note("named", text=described(text)["text"], id=pending.id)


def _read_up(device: Device, client: Client, conv: str) -> None:
    if conv in device.tops:
        client.read(conv, device.tops[conv])
