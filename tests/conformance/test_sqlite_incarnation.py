from pathlib import Path

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.incarnation import read_incarnation, renew_incarnation


async def test_the_incarnation_outlives_restarts_and_is_renewed_on_demand(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "seatrial.db")
    first = await database.read(read_incarnation)
    await database.close()
    database = await Database.open(tmp_path / "seatrial.db")
    assert await database.read(read_incarnation) == first
    second = await database.write(renew_incarnation)
    assert await database.read(read_incarnation) == second != first
    await database.close()
    other = await Database.open(tmp_path / "other.db")
    assert await other.read(read_incarnation) not in (first, second)
    await other.close()
