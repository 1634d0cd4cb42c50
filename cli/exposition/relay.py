"""What is told of the relay, by whichever role has it."""

from importlib.metadata import version

from cli.exposition.row import Row, attribute

BUILD = Row("pabal_build_info", "gauge", "Always 1; the version.", lambda _: {version("pabal"): 1}, "version")
# Of a look that has `relay`, a `bridge.figures.Figures`.
TABLE = (
    Row(
        "pabal_requests_accepted_total",
        "counter",
        "Requests that write, committed; what only reads is not counted.",
        attribute("relay", "accepted"),
    ),
    Row(
        "pabal_requests_refused_total",
        "counter",
        "Requests refused, by code.",
        attribute("relay", "refused"),
        "code",
    ),
    Row(
        "pabal_users_online",
        "gauge",
        "Users who are shown as online or away.",
        attribute("relay", "users_online"),
    ),
    Row("pabal_batch_requests", "histogram", "Requests in one transaction.", attribute("relay", "batches")),
    Row("pabal_commit_seconds", "histogram", "How long a transaction took.", attribute("relay", "commits")),
)
