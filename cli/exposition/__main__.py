"""Prints the tables of docs/, each under the page that has it."""

from cli.exposition import bridge, broker, push, redis, web
from cli.exposition.row import markdown

PAGES = {
    "docs/operations.md": (*broker.TABLE, *web.TABLE),
    "docs/brokers.md": bridge.TABLE,
    "docs/push-services.md": push.TABLE,
    "docs/redis.md": redis.TABLE,
}

if __name__ == "__main__":
    for page, table in PAGES.items():
        print("\n".join((f"{page}:", *markdown(table), "")))  # noqa: T201 -- what it is for
