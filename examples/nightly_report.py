"""A report for every night in Kyiv: those of past nights first, then a heartbeat, missed by nobody.

    python examples/nightly_report.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from promin_postgres import create_durable_scheduler, migrate
from promin_postgres.testing import postgres_server

KYIV = ZoneInfo("Europe/Kyiv")


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with create_durable_scheduler(dsn) as scheduler:
            scheduler.register("report", cron="30 3 * * *", timezone="Europe/Kyiv", overlap_policy="queue")
            after = datetime(2026, 3, 27, 12, tzinfo=KYIV)
            for moment in scheduler.next_fire_times("report", 3, after):  # on the 29th there is no half past three
                print(f"fires at {moment.astimezone(KYIV):%d %B, %H:%M}")

            days = {"start": datetime(2026, 3, 1, tzinfo=KYIV), "end": datetime(2026, 3, 4, tzinfo=KYIV)}
            print(f"{len(scheduler.backfill('report', **days))} nights to make up for")
            print(f"{len(scheduler.backfill('report', **days))} nights, as before: nothing is made twice")

            scheduler.register("heartbeat", interval=0.1, max_fires=2)
            scheduler.start()  # here, and in any other process: one of them fires
            with scheduler.stream("report") as nights:
                for tick in nights.take(3):
                    print(f"report {tick.tick_number} is of {tick.scheduled_at.astimezone(KYIV):%d %B}")
            with scheduler.stream("heartbeat") as beats:
                for tick in beats.take(2):
                    print(f"beat {tick.tick_number}")


if __name__ == "__main__":
    main()
