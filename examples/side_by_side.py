"""Steps that do not wait for each other run at the same time; a last one joins what they found. With asyncio.

    python examples/side_by_side.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

import asyncio

from promin_postgres import AsyncPostgresWorkflowStorage, Context, async_migrate, async_workflow
from promin_postgres.testing import postgres_server


async def temperature(ctx: Context) -> int:
    await asyncio.sleep(0.1)
    return 21


async def wind(ctx: Context) -> str:
    await asyncio.sleep(0.1)
    return "north"


def report(ctx: Context) -> str:
    return f"{ctx.input}: {ctx.deps['temperature']} degrees, wind from the {ctx.deps['wind']}"


async def make_report(dsn: str) -> None:
    await async_migrate(dsn)
    async with await AsyncPostgresWorkflowStorage.create(dsn) as storage:
        weather = (
            async_workflow("weather", storage=storage)
            .step("temperature", temperature)
            .step("wind", wind, depends_on=[])
            .step("report", report, depends_on=["temperature", "wind"])
        )
        print(await weather.run(workflow_id="weather-kyiv", input="Kyiv"))


if __name__ == "__main__":
    with postgres_server() as server:
        asyncio.run(make_report(server.create_database()))
