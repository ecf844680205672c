"""The wallets of Ismail: PostgreSQL is the truth, and the cache never outlives a change."""

from __future__ import annotations

from decimal import Decimal

from assise.app import App

PAY = """UPDATE wallets SET balance = balance + %(amount)s
    WHERE user_id = %(user)s AND balance + %(amount)s >= 0 RETURNING balance"""
ENTER = """INSERT INTO entries (id, user_id, amount) VALUES (%(id)s, %(user)s, %(amount)s)
    ON CONFLICT (id) DO NOTHING"""
BALANCE = "SELECT balance FROM wallets WHERE user_id = %s"


class Wallet:
    """What pays into wallets and out of them, and reads balances."""

    def __init__(self, app: App) -> None:
        self.app = app

        @app.cache("wallet_balance", table="wallets")
        async def balance(user_id: int) -> Decimal | None:
            async with app.session(user_id=user_id, read_only=True) as session:
                found: Decimal | None = await session.fetch_value(BALANCE, [user_id])
                return found

        self.balance = balance

    async def pay(self, user_id: int, amount: Decimal, *, payment: str) -> bool:
        """Pay in, or out where the amount is negative; False where there is too little.

        A payment with the same id is made once, however often it is sent.
        """
        values = {"user": user_id, "amount": amount, "id": payment}
        async with self.app.session(user_id=user_id) as session:
            if not await session.execute(ENTER, values):
                return True
            if await session.execute(PAY, values):
                return True
            await session.execute("DELETE FROM entries WHERE id = %(id)s", values)
            return False
